//! Socket addresses as Linux lays them out: `sockaddr_in` and `sockaddr_in6`, as bytes.

#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The bytes of the longer one, `sockaddr_in6`; `sockaddr_in` takes the first 16.
pub(super) type Name = [u8; 28];

const V4: [u8; 2] = family(libc::AF_INET);
const V6: [u8; 2] = family(libc::AF_INET6);

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "families are small numbers")]
const fn family(number: libc::c_int) -> [u8; 2] {
    (number as libc::sa_family_t).to_ne_bytes()
}

/// The address and how many of its bytes count.
#[inline]
pub(super) fn encode(address: &SocketAddr) -> (Name, u32) {
    let mut name = [0; 28];
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            name[..2].copy_from_slice(&V4);
            name[4..8].copy_from_slice(&v4.ip().octets());
            (name, 16)
        }
        SocketAddr::V6(v6) => {
            name[..2].copy_from_slice(&V6);
            name[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
            name[8..24].copy_from_slice(&v6.ip().octets());
            name[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            (name, 28)
        }
    }
}

/// The address that the kernel wrote; `0.0.0.0:0` for one of another family.
#[inline]
pub(super) fn decode(name: &Name) -> SocketAddr {
    let four = |at: usize| [name[at], name[at + 1], name[at + 2], name[at + 3]];
    let port = u16::from_be_bytes([name[2], name[3]]);
    match [name[0], name[1]] {
        V4 => SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(four(4)), port)),
        V6 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(&name[8..24]);
            let (flow, scope) = (u32::from_ne_bytes(four(4)), u32::from_ne_bytes(four(24)));
            SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, flow, scope))
        }
        _ => SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn addresses_are_laid_out_as_the_system_does() {
        let v6 = SocketAddr::V6(SocketAddrV6::new("fe80::1:2".parse().unwrap(), 0xABCD, 7, 9));
        for address in ["127.0.0.1:7000".parse().unwrap(), "[::1]:1".parse().unwrap(), v6] {
            let (name, length) = encode(&address);
            assert_eq!(decode(&name), address);
            let by_system = socket2::SockAddr::from(address);
            assert_eq!((by_system.len(), by_system.as_socket()), (length, Some(address)));
            assert_eq!(libc::c_int::from(by_system.family()), i32::from(u16::from_ne_bytes([name[0], name[1]])));
        }
        assert_eq!(decode(&[0xFF; 28]), "0.0.0.0:0".parse().unwrap());
    }
}
