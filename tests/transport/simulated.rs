//! The whole client over a simulated network: waiting takes no real time, and cables can be pulled.

use std::sync::Arc;
use std::time::Duration;

use cxtract::model::TransportFault;
use cxtract::transport::{ByteStream, Dial, DialError, HttpClient, Request, TlsTrust, TransportSettings};
use futures::future::LocalBoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::sized;

struct SimulatedDial;

impl Dial for SimulatedDial {
    fn dial(&self, host: &str, port: u16) -> LocalBoxFuture<'static, Result<Box<dyn ByteStream>, DialError>> {
        let host = host.to_owned();
        Box::pin(async move {
            let stream = turmoil::net::TcpStream::connect((host, port)).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// A tenant that answers every request on every connection, the body in two halves with that pause between them.
async fn tenant(body: Vec<u8>, pause: Duration) -> std::io::Result<()> {
    let listener = turmoil::net::TcpListener::bind(("0.0.0.0", 80)).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let answer = sized("", &body);
        tokio::task::spawn_local(async move {
            let mut head = Vec::new();
            while let Ok(byte) = stream.read_u8().await {
                head.push(byte);
                if head.ends_with(b"\r\n\r\n") {
                    head.clear();
                    let (first, second) = answer.split_at(answer.len() / 2);
                    stream.write_all(first).await?;
                    tokio::time::sleep(pause).await;
                    stream.write_all(second).await?;
                }
            }
            std::io::Result::Ok(())
        });
    }
}

fn client() -> HttpClient {
    let settings = TransportSettings::new(Arc::new(TlsTrust::load(None).unwrap()));
    HttpClient::new(settings, Arc::new(SimulatedDial))
}

fn network() -> turmoil::Sim<'static> {
    turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(600))
        .tick_duration(Duration::from_millis(10))
        .build()
}

#[test]
fn pages_come_whole_over_a_simulated_network() {
    let page: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let expected = page.clone();
    let mut sim = network();
    sim.host("tenant", move || {
        let page = page.clone();
        async move { Ok(tenant(page, Duration::from_secs(20)).await?) }
    });
    sim.client("us", async move {
        let client = client();
        for _ in 0..2 {
            let answer = client.send(Request::get("http://tenant/page")).await?;
            assert!(answer.body.collect(usize::MAX).await? == expected);
        }
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn a_cable_pulled_in_the_middle_of_a_body_is_a_stall() {
    let mut sim = network();
    sim.host("tenant", || async { Ok(tenant(vec![b'x'; 1000], Duration::from_secs(20)).await?) });
    sim.client("us", async {
        let answer = client().send(Request::get("http://tenant/page")).await?;
        turmoil::partition("us", "tenant");
        let fault = answer.body.collect(usize::MAX).await.unwrap_err();
        assert_eq!(fault, TransportFault::Stalled(Duration::from_secs(30)));
        Ok(())
    });
    sim.run().unwrap();
}
