//! An OpenTelemetry collector of the tests' own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

/// Takes whatever is posted and says 200; path and body of each.
pub fn collector() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, posts) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let told = told.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let (mut line, mut path, mut len) = (String::new(), String::new(), 0);
                    while reader.read_line(&mut line).unwrap_or(0) > 2 {
                        let lower = line.to_ascii_lowercase();
                        if let Some(rest) = line.strip_prefix("POST ") {
                            path = rest.split(' ').next().unwrap_or_default().to_owned();
                        } else if let Some(n) = lower.strip_prefix("content-length:") {
                            len = n.trim().parse().unwrap();
                        }
                        line.clear();
                    }
                    if path.is_empty() {
                        return;
                    }
                    let mut body = vec![0; len];
                    reader.read_exact(&mut body).unwrap();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    reader.get_mut().write_all(answer).unwrap();
                    let body = serde_json::from_slice(&body).expect("JSON");
                    if told.send((path, body)).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, posts)
}
