//! What headers say, and that whatever else comes is refused without reading past it.

use super::*;
use proptest::prelude::*;

fn client(text: &str) -> ProxiedPeer {
    ProxiedPeer::Client(text.parse().unwrap())
}

/// What a header makes of a connection on which `after` follows, and what is left to read then.
async fn over_a_connection(bytes: &[u8], pieces: usize) -> (io::Result<ProxiedPeer>, Vec<u8>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sender = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    sender.set_nodelay(true).unwrap();
    let (mut receiver, _) = listener.accept().await.unwrap();
    let send = async {
        for piece in bytes.chunks(bytes.len().div_ceil(pieces).max(1)) {
            // The receiver may have had enough.
            let _ = sender.write_all(piece).await;
            tokio::time::sleep(Duration::from_millis(u64::from(pieces > 1))).await;
        }
        drop(sender);
    };
    let receive = async {
        let told = read(&mut receiver).await;
        let mut rest = Vec::new();
        let _ = receiver.read_to_end(&mut rest).await;
        (told, rest)
    };
    tokio::join!(send, receive).1
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

#[test]
fn lines_say_who_and_are_read_in_one_way_only() {
    assert_eq!(
        line(b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n"),
        Some(client("192.0.2.1:56324"))
    );
    assert_eq!(
        line(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"),
        Some(client("[2001:db8::1]:1"))
    );
    for unknown in [
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN ffff:f::1 ffff::2 65535 65535\r\n",
        "PROXY UNKNOWN \u{1}\r\n",
    ] {
        assert_eq!(line(unknown.as_bytes()), Some(ProxiedPeer::Local));
    }
    for bad in [
        "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443 \r\n",
        "PROXY TCP4  192.0.2.1 10.0.0.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443 1\r\n",
        "PROXY TCP4 192.0.2.01 10.0.0.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0 56324 443\r\n",
        "PROXY TCP4 2001:db8::1 10.0.0.1 56324 443\r\n",
        "PROXY TCP6 192.0.2.1 ::1 56324 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 056324 443\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 65536 443\r\n",
        "PROXY tcp4 192.0.2.1 10.0.0.1 1 443\r\n",
        "PROXY UDP4 192.0.2.1 10.0.0.1 1 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        "proxy UNKNOWN\r\n",
    ] {
        assert_eq!(line(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn binary_headers_say_who() {
    let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 1, 0xbb];
    let mut v6 = [0; 36];
    (v6[0], v6[1], v6[15], v6[32], v6[33]) = (0x20, 0x01, 7, 1, 0);
    assert_eq!(binary(0x21, 0x11, &v4), Some(client("192.0.2.1:56324")));
    assert_eq!(
        binary(0x21, 0x12, &[&v4[..], b"\x04\0\x02ab"].concat()),
        Some(client("192.0.2.1:56324"))
    );
    assert_eq!(binary(0x21, 0x21, &v6), Some(client("[2001::7]:256")));
    assert_eq!(binary(0x21, 0x31, &[0; 216]), Some(ProxiedPeer::Local));
    assert_eq!(binary(0x21, 0x00, b"anything"), Some(ProxiedPeer::Local));
    for family in [0x00, 0x11, 0x21, 0x31, 0xff] {
        assert_eq!(binary(0x20, family, b""), Some(ProxiedPeer::Local), "LOCAL");
    }
    for (command, family, length) in [
        (0x21, 0x11, 11),
        (0x21, 0x21, 35),
        (0x21, 0x31, 215),
        (0x21, 0x10, 12),
        (0x21, 0x01, 12),
        (0x21, 0x13, 12),
        (0x21, 0x41, 216),
        (0x22, 0x11, 12),
        (0x11, 0x11, 12),
        (0x00, 0x00, 0),
    ] {
        assert_eq!(
            binary(command, family, &vec![1; length]),
            None,
            "{command:x} {family:x} {length}"
        );
    }
}

#[test]
fn a_proxy_elsewhere_cannot_say_that_it_is_this_machine() {
    let may = |client: &str, proxy: &str| {
        may_be_a_client(client.parse().unwrap(), proxy.parse().unwrap())
    };
    assert!(
        may("192.0.2.1", "10.0.0.1")
            && may("127.0.0.1", "::1")
            && may("::ffff:127.0.0.1", "127.0.0.1")
    );
    assert!(!may("127.0.0.1", "10.0.0.1") && !may("::ffff:127.0.0.1", "10.0.0.1"));
    assert!(
        !may("0.0.0.0", "127.0.0.1") && !may("::", "127.0.0.1") && !may("224.0.0.1", "127.0.0.1")
    );
}

#[tokio::test]
async fn no_byte_behind_a_header_is_read_however_it_is_cut() {
    let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 1, 0xbb];
    for header in [
        b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n".to_vec(),
        v2(0x21, 0x11, &v4),
        v2(0x21, 0x11, &[&v4[..], &[7; MAX_REST - 12]].concat()),
    ] {
        for pieces in [1, 2, 7, header.len() + 6] {
            let (told, rest) = over_a_connection(&[&header[..], b"behind"].concat(), pieces).await;
            assert_eq!(
                (told.ok(), rest.as_slice()),
                (Some(client("192.0.2.1:56324")), &b"behind"[..]),
                "{pieces}"
            );
        }
        let (told, _) = over_a_connection(&header[..header.len() - 1], 1).await;
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
    let longest = [
        b"PROXY UNKNOWN ".to_vec(),
        vec![b'x'; MAX_LINE - 16],
        b"\r\n".to_vec(),
    ]
    .concat();
    assert_eq!(
        over_a_connection(&longest, 1).await.0.ok(),
        Some(ProxiedPeer::Local)
    );
    for refused in [
        [
            b"PROXY UNKNOWN ".to_vec(),
            vec![b'x'; MAX_LINE - 15],
            b"\r\n".to_vec(),
        ]
        .concat(),
        v2(0x21, 0x11, &[1; MAX_REST + 1]),
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"\r\n\r\n\0\r\nQUITS".to_vec(),
    ] {
        assert_eq!(
            over_a_connection(&refused, 1).await.0.unwrap_err().kind(),
            io::ErrorKind::Other,
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn one_line_a_minute_is_logged_of_each_kind_and_none_of_who_only_looks() {
    let proxies = TrustedProxies::new(&[]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let read_after = async |bytes: &[u8]| {
        let mut sender = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        sender.write_all(bytes).await.unwrap();
        // A health check that ends with a reset.
        rustix::net::sockopt::set_socket_linger(&sender, Some(Duration::ZERO)).unwrap();
        let (mut receiver, peer) = listener.accept().await.unwrap();
        if bytes.is_empty() {
            drop(sender);
        }
        assert_eq!(
            proxies
                .read(&mut receiver, peer, Duration::from_secs(5))
                .await,
            None
        );
        peer
    };
    let peer = read_after(b"").await;
    assert!(proxies.missing.0.lock().is_none());
    proxies.warn_untrusted_peer(peer);
    assert!(proxies.missing.0.lock().is_none() && !proxies.stranger.is_due());
    read_after(b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(!proxies.missing.is_due());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_bytes_come_they_say_what_was_written_or_nothing(
        start in prop_oneof![Just(&b"PROXY "[..]), Just(&b"PROXY TCP4 "[..]), Just(&b"PROXY TCP6 "[..]), Just(&b""[..])],
        middle in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"0123456789.: abcdef"[..])], 0..100),
        end in prop_oneof![Just(&b"\r\n"[..]), Just(&b"\n"[..]), Just(&b""[..])],
    ) {
        let bytes = [start, &middle, end].concat();
        if let Some(ProxiedPeer::Client(client)) = line(&bytes) {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let words: Vec<&str> = text.trim_end_matches("\r\n").split(' ').collect();
            prop_assert_eq!(words[2].parse(), Ok(client.ip()));
            prop_assert_eq!(words[4].parse(), Ok(client.port()));
        }
        if let [command, family, rest @ ..] = bytes.as_slice() {
            let _ = binary(*command, *family, rest);
            if let Some(ProxiedPeer::Client(client)) = binary(0x21, *family, rest) {
                let octets = match client.ip() { IpAddr::V4(ip) => ip.octets().to_vec(), IpAddr::V6(ip) => ip.octets().to_vec() };
                prop_assert_eq!(&rest[..octets.len()], &octets[..]);
            }
        }
    }

    #[test]
    fn every_address_comes_back_from_both_versions(address in any::<[u8; 16]>(), is_v4: bool, from: u16) {
        let ip = if is_v4 { IpAddr::from(*address.first_chunk::<4>().unwrap()) } else { IpAddr::from(address) };
        let told = Some(ProxiedPeer::Client(SocketAddr::new(ip, from)));
        let (word, family, octets) = if is_v4 { ("TCP4", 0x11, &address[..4]) } else { ("TCP6", 0x21, &address[..]) };
        let text = format!("PROXY {word} {ip} {ip} {from} {from}\r\n");
        prop_assert!(text.len() <= MAX_LINE);
        prop_assert_eq!(line(text.as_bytes()), told);
        let rest = [octets, octets, &from.to_be_bytes(), &[0, 0]].concat();
        prop_assert_eq!(binary(0x21, family, &rest), told);
    }
}
