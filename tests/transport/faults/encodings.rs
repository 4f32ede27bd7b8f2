//! Packed bodies: damaged, bombs, of several members, and codings nobody asked for.

use cxtract::model::TransportFault;
use cxtract::transport::Request;

use crate::support::*;

const GZIP: &str = "Content-Encoding: gzip\r\n";

async fn fetched(answer: Vec<u8>) -> Result<Vec<u8>, TransportFault> {
    let server = Server::plain(vec![vec![say(answer, Then::Keep)]]).await;
    fetch(&client(), server.url("/")).await.map(|bytes| bytes.to_vec())
}

fn page() -> Vec<u8> {
    (0..50_000).flat_map(|i| format!("{i},agent {}\n", i * 7919 % 1013).into_bytes()).collect()
}

#[test]
fn h12_a_gzip_body_is_unpacked_in_pieces_of_at_most_64_kib() {
    run(async {
        let (page, packed) = (page(), gzip(&page()));
        for answer in
            [sized(GZIP, &packed), chunked(GZIP, &packed, 1000), sized("Content-Encoding: x-gzip\r\n", &packed)]
        {
            let server = Server::plain(vec![vec![say(answer, Then::Keep)]]).await;
            let mut body = client().send(Request::get(server.url("/"))).await.unwrap().body;
            let mut all = Vec::new();
            while let Some(piece) = body.next().await.unwrap() {
                assert!(!piece.is_empty() && piece.len() <= 64 * 1024);
                all.extend_from_slice(&piece);
            }
            assert!(all == page);
            assert_eq!(body.wire_bytes(), packed.len() as u64);
            assert_eq!(body.next().await, Ok(None), "the end stays the end");
        }
    });
}

#[test]
fn h12_a_gzip_body_that_is_cut_inside_correct_framing_is_damaged() {
    run(async {
        let packed = gzip(b"a,b\n1,2\n");
        for n in 1..packed.len() {
            let fault = fetched(sized(GZIP, &packed[..n])).await.unwrap_err();
            assert!(matches!(fault, TransportFault::Inflate(_)), "cut at {n}: {fault}");
        }
    });
}

#[test]
fn h12_an_empty_gzip_body_is_whole_only_where_a_length_of_zero_says_so() {
    run(async {
        assert_eq!(fetched(sized(GZIP, b"")).await.unwrap(), b"");
        let fault = fetched(chunked(GZIP, b"", 1)).await.unwrap_err();
        assert!(matches!(fault, TransportFault::Inflate(_)), "{fault}");
    });
}

#[test]
fn h12_a_bad_checksum_or_length_is_damage() {
    run(async {
        let packed = gzip(b"a,b\n1,2\n");
        for at in packed.len() - 8..packed.len() {
            let mut bad = packed.clone();
            bad[at] ^= 1;
            let fault = fetched(sized(GZIP, &bad)).await.unwrap_err();
            assert!(matches!(fault, TransportFault::Inflate(_)), "byte {at}: {fault}");
        }
    });
}

#[test]
fn n11_a_byte_flipped_inside_a_gzip_body_is_found_by_its_checksum() {
    run(async {
        let packed = gzip(&page());
        for at in [20, packed.len() / 2, packed.len() - 20] {
            let mut bad = packed.clone();
            bad[at] ^= 0x04;
            let fault = fetched(sized(GZIP, &bad)).await.unwrap_err();
            assert!(matches!(fault, TransportFault::Inflate(_)), "byte {at}: {fault}");
        }
    });
}

#[test]
fn h12_several_members_and_zero_padding_are_one_body_and_garbage_behind_them_is_damage() {
    run(async {
        let members = [gzip(b"a,b\n"), gzip(b"1,2\n"), vec![0; 9]].concat();
        assert_eq!(fetched(sized(GZIP, &members)).await.unwrap(), b"a,b\n1,2\n");
        let garbage = [gzip(b"a,b\n"), b"tail".to_vec()].concat();
        let fault = fetched(sized(GZIP, &garbage)).await.unwrap_err();
        assert!(matches!(fault, TransportFault::Inflate(_)), "{fault}");
    });
}

#[test]
fn h12_a_bomb_is_refused_by_its_ratio() {
    run(async {
        let fault = fetched(sized(GZIP, &gzip(&vec![b'x'; 16 << 20]))).await.unwrap_err();
        assert!(matches!(&fault, TransportFault::OverLimit { limit, .. } if limit == "1000:1"), "{fault}");
    });
}

#[test]
fn h12_a_page_over_its_size_is_refused_by_the_name_of_the_key() {
    run(async {
        let page = page();
        for answer in [sized("", &page), chunked("", &page, 5000), sized(GZIP, &gzip(&page))] {
            let exact = client_with(|s| s.max_decoded = page.len() as u64);
            let server = Server::plain(vec![vec![say(answer, Then::Keep)]]).await;
            assert!(fetch(&exact, server.url("/")).await.unwrap() == page);
            let tight = client_with(|s| s.max_decoded = page.len() as u64 - 1);
            let fault = fetch(&tight, server.url("/")).await.unwrap_err();
            assert!(
                matches!(&fault, TransportFault::OverLimit { limit, .. } if limit.contains("limits.page_bytes")),
                "{fault}"
            );
        }
    });
}

#[test]
fn h12_codings_that_were_not_asked_for_are_of_the_wrong_kind_on_a_success_alone() {
    run(async {
        for coding in ["br", "zstd", "deflate", "gzip, br", "gzip, gzip"] {
            let header = format!("Content-Encoding: {coding}\r\n");
            let fault = fetched(sized(&header, b"abc")).await.unwrap_err();
            assert!(matches!(fault, TransportFault::WrongKind(_)), "{coding}: {fault}");
        }
        assert_eq!(fetched(sized("Content-Encoding: identity\r\n", b"abc")).await.unwrap(), b"abc");
        let busy = "HTTP/1.1 429 Slow down\r\nContent-Encoding: br\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nxx";
        let server = Server::plain(vec![vec![say(busy, Then::Keep)]]).await;
        let answer = client().send(Request::get(server.url("/"))).await.unwrap();
        assert_eq!((answer.head.status, answer.head.header("retry-after")), (429, Some("3")));
    });
}
