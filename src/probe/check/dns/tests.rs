//! The DNS check against servers that answer as told.

use super::*;
use crate::health::DnsCheck;
use crate::probe::testing::*;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{RData, Record};
use tokio::net::{TcpListener, UdpSocket};

fn check() -> DnsCheck {
    DnsCheck {
        name: "www.GSLB.example".parse().unwrap(),
        rtype: "A".parse().unwrap(),
        transport: Transport::Udp,
        recursion: false,
        rcode: Rcode::NO_ERROR,
        answer: None,
    }
}

type Replies = fn(&Message) -> Vec<Vec<u8>>;

/// A name server that sends these to each query over UDP, and the last of them over TCP.
async fn server(replies: Replies) -> SocketAddr {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let addr = udp.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((n, from)) = udp.recv_from(&mut query).await {
            for reply in replies(&Message::from_vec(&query[..n]).unwrap()) {
                drop(udp.send_to(&reply, from).await);
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            tokio::spawn(async move {
                let length = stream.read_u16().await?;
                let mut query = vec![0; length.into()];
                stream.read_exact(&mut query).await?;
                let replies = replies(&Message::from_vec(&query).unwrap());
                if let Some(reply) = replies.last() {
                    // In two pieces.
                    stream
                        .write_all(&(reply.len() as u16).to_be_bytes())
                        .await?;
                    stream.write_all(reply).await?;
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    addr
}

/// The answer to `query` with these records.
fn answer(query: &Message, records: impl IntoIterator<Item = RData>) -> Message {
    let mut message = Message::new(
        query.metadata.id,
        MessageType::Response,
        query.metadata.op_code,
    );
    message.queries = query.queries.clone();
    let name = query.queries[0].name().clone();
    let record = |data| Record::from_rdata(name.clone(), 60, data);
    message.answers = records.into_iter().map(record).collect();
    message
}

fn address(query: &Message) -> Message {
    answer(query, [RData::A(A::new(192, 0, 2, 1))])
}

fn wire(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

async fn run(check: &DnsCheck, replies: Replies) -> Result<(), String> {
    let probe = DnsProbe::new(check, server(replies).await);
    tokio::time::timeout(BOUND, probe.run(None, &RuntimeClock::start()))
        .await
        .expect("must end")
        .map(|_| ())
        .map_err(|e| e.to_string())
}

#[tokio::test]
async fn the_response_code_decides() {
    let good: Replies = |q| vec![wire(&address(q))];
    assert_eq!(run(&check(), good).await, Ok(()));
    let refuses: Replies = |q| {
        let mut message = answer(q, []);
        message.metadata.response_code = ResponseCode::Refused;
        vec![wire(&message)]
    };
    assert_eq!(
        run(&check(), refuses).await.unwrap_err(),
        "response code REFUSED, expected NOERROR"
    );
    let wants_refusal = DnsCheck {
        rcode: Rcode::REFUSED,
        ..check()
    };
    assert_eq!(run(&wants_refusal, refuses).await, Ok(()));
}

#[tokio::test]
async fn an_expected_answer_must_be_there() {
    let wants = |text: &str| DnsCheck {
        answer: Some(text.into()),
        ..check()
    };
    let replies: Replies = |q| {
        let text = RData::TXT(TXT::new(vec!["hello ".to_owned(), "world".to_owned()]));
        let mut message = address(q);
        message.answers.extend(answer(q, [text]).answers);
        vec![wire(&message)]
    };
    assert_eq!(run(&wants("192.0.2.1"), replies).await, Ok(()));
    assert_eq!(run(&wants("hello world"), replies).await, Ok(()));
    assert_eq!(
        run(&wants("192.0.2.2"), replies).await.unwrap_err(),
        "none of 2 answers is `192.0.2.2`: 192.0.2.1, hello world"
    );
    let none: Replies = |q| vec![wire(&answer(q, []))];
    assert_eq!(
        run(&wants("192.0.2.2"), none).await.unwrap_err(),
        "none of 0 answers is `192.0.2.2`"
    );
}

#[tokio::test]
async fn the_query_asks_what_the_check_says() {
    let picky: Replies = |q| {
        let question = &q.queries[0];
        let right = q.queries.len() == 1
            && question.name().to_ascii() == "www.gslb.example."
            && u16::from(question.query_type()) == 65
            && q.metadata.recursion_desired
            && q.edns.is_none();
        let mut message = answer(q, []);
        if !right {
            message.metadata.response_code = ResponseCode::FormErr;
        }
        vec![wire(&message)]
    };
    let asks = DnsCheck {
        rtype: "HTTPS".parse().unwrap(),
        recursion: true,
        ..check()
    };
    assert_eq!(run(&asks, picky).await, Ok(()));
    assert!(run(&check(), picky).await.is_err());
}

#[tokio::test]
async fn what_is_not_the_answer_is_not_heard() {
    let noisy: Replies = |q| {
        let mut other_id = answer(q, []);
        other_id.metadata.id ^= 1;
        let mut other_question = answer(q, []);
        let question = &mut other_question.queries[0];
        question.set_name("gslb.example.".parse().unwrap());
        let mut other_type = answer(q, []);
        other_type.queries[0].set_query_type(hickory_proto::rr::RecordType::NS);
        let mut no_question = answer(q, []);
        no_question.queries.clear();
        let mut query_again = address(q);
        query_again.metadata.message_type = MessageType::Query;
        let noise = [
            other_id,
            other_question,
            other_type,
            no_question,
            query_again,
        ];
        let mut replies: Vec<Vec<u8>> = noise.iter().map(wire).collect();
        replies.push(b"\0".to_vec());
        replies.push(wire(&address(q)));
        replies
    };
    let wants = DnsCheck {
        answer: Some("192.0.2.1".into()),
        ..check()
    };
    assert_eq!(run(&wants, noisy).await, Ok(()));
    // Over TCP there is nothing else to wait for.
    let wrong: Replies = |q| {
        let mut message = address(q);
        message.metadata.id ^= 1;
        vec![wire(&message)]
    };
    let over_tcp = DnsCheck {
        transport: Transport::Tcp,
        ..check()
    };
    assert_eq!(
        run(&over_tcp, wrong).await.unwrap_err(),
        "the answer has another id or question than the query"
    );
}

#[tokio::test]
async fn a_cut_answer_is_asked_for_again_over_tcp() {
    // The first reply goes over UDP first; TCP gives the last, whole one.
    let cut: Replies = |q| {
        let mut cut = answer(q, []);
        cut.metadata.truncation = true;
        vec![wire(&cut), wire(&address(q))]
    };
    let wants = DnsCheck {
        answer: Some("192.0.2.1".into()),
        ..check()
    };
    assert_eq!(run(&wants, cut).await, Ok(()));
}

#[tokio::test]
async fn tcp_is_used_where_told_and_a_closed_connection_fails() {
    let over_tcp = DnsCheck {
        transport: Transport::Tcp,
        ..check()
    };
    assert_eq!(run(&over_tcp, |q| vec![wire(&address(q))]).await, Ok(()));
    assert_eq!(
        run(&over_tcp, |_| Vec::new()).await.unwrap_err(),
        "closed without an answer"
    );
    for check in [check(), over_tcp] {
        let probe = DnsProbe::new(&check, closed().await);
        let failure = probe.run(None, &RuntimeClock::start()).await.unwrap_err();
        assert!(matches!(failure, Failure::Connect(_)), "{failure:?}");
    }
}
