//! The start of a connection, read for a TLS client's hello.

use tradewind::tls::hello::{HelloError, MESSAGE, read, window};

/// What has come of a stream.
pub fn check(data: &[u8]) {
    let answer = read(data, MESSAGE);
    match &answer {
        Ok(hello) => {
            if let Some(name) = &hello.server_name {
                assert!((1..=253).contains(&name.len()));
                assert_eq!(**name, *name.to_ascii_lowercase());
                assert!(name.is_ascii() && !name.ends_with('.'));
            }
            assert!(hello.alpn.iter().all(|p| !p.is_empty()));
            assert_eq!(hello.alpn.is_empty(), hello.alpn.iter().next().is_none());
        }
        Err(HelloError::Incomplete(need)) => {
            assert!(*need > data.len());
            assert!(data.len() < window(MESSAGE), "a whole window has an answer");
        }
        Err(_) => {}
    }
    // What came before says the same, or waits for more; and it does not wait for what is there.
    for n in [
        data.len() / 2,
        data.len().saturating_sub(1),
        data.len().min(9),
    ] {
        match read(&data[..n], MESSAGE) {
            Err(HelloError::Incomplete(need)) => {
                assert!(need > n);
                assert!(answer.is_err() || need <= data.len());
            }
            before => assert_eq!(before, answer, "an answer is final"),
        }
    }
}
