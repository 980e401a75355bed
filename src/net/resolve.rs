//! [`ToSocketAddrs`]: what stands for socket addresses, and the lookup of names.

use super::socket::can_make;
use crate::protect::checkpoint;
use sealed::{Addresses, Sealed};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What stands for one or more socket addresses: addresses themselves, and names such as
/// `"localhost:8080"`, which are looked up on the threads of the crate `blocking`.
///
/// It is implemented for what [`std::net::ToSocketAddrs`] is implemented for.
pub trait ToSocketAddrs: Sealed {}

mod sealed {
    use std::net::SocketAddr;

    /// Addresses, or a name that has to be looked up.
    #[derive(Debug)]
    pub enum Addresses {
        One(SocketAddr),
        Many(Vec<SocketAddr>),
        /// A host and a port, as text.
        Text(String),
        Host(String, u16),
    }

    pub trait Sealed {
        fn addresses(&self) -> Addresses;
    }
}

/// Returns the first address. Looks a name up on another thread, and waits for that; an address itself costs
/// nothing.
///
/// # Errors
///
/// As [`resolve`].
#[inline]
pub(super) async fn resolve_first(addresses: &impl ToSocketAddrs) -> io::Result<SocketAddr> {
    match addresses.addresses() {
        Addresses::One(address) => Ok(address),
        more => resolve(more).await.map(|all| all[0]),
    }
}

/// Returns the addresses. Looks a name up on another thread, and waits for that.
///
/// # Errors
///
/// Returns the error of the lookup, and [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address.
async fn resolve(addresses: Addresses) -> io::Result<Vec<SocketAddr>> {
    checkpoint::pass().await;
    let all: Vec<SocketAddr> = match addresses {
        Addresses::One(address) => vec![address],
        Addresses::Many(addresses) => addresses,
        Addresses::Text(text) => look_up(text).await?,
        Addresses::Host(host, port) => look_up((host, port)).await?,
    };
    if all.is_empty() {
        let message =
            "there is no socket address to use: the list, or the answer to the lookup, is empty";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(all)
}

async fn look_up(
    name: impl std::net::ToSocketAddrs + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    // A simulation has no sockets, and cannot wait for another thread.
    if let Err(error) = can_make()
        && error.kind() == io::ErrorKind::Unsupported
    {
        return Err(error);
    }
    blocking::unblock(move || Ok(name.to_socket_addrs()?.collect())).await
}

/// Tries one address after the other until one does. Returns the last error.
pub(super) async fn first_of<R, F: Future<Output = io::Result<R>>>(
    addresses: &impl ToSocketAddrs,
    mut make: impl FnMut(SocketAddr) -> F,
) -> io::Result<R> {
    let mut last = None;
    for address in resolve(addresses.addresses()).await? {
        match make(address).await {
            Ok(made) => return Ok(made),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("at least one address"))
}

macro_rules! is_one {
    ($($type:ty),*) => {$(
        impl ToSocketAddrs for $type {}
        impl Sealed for $type {
            fn addresses(&self) -> Addresses {
                Addresses::One(SocketAddr::from(*self))
            }
        }
    )*};
}

is_one!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToSocketAddrs for (&str, u16) {}
impl Sealed for (&str, u16) {
    fn addresses(&self) -> Addresses {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => Addresses::One(SocketAddr::new(ip, port)),
            Err(_) => Addresses::Host(host.to_owned(), port),
        }
    }
}

impl ToSocketAddrs for (String, u16) {}
impl Sealed for (String, u16) {
    fn addresses(&self) -> Addresses {
        (&*self.0, self.1).addresses()
    }
}

impl ToSocketAddrs for str {}
impl Sealed for str {
    fn addresses(&self) -> Addresses {
        match self.parse() {
            Ok(address) => Addresses::One(address),
            Err(_) => Addresses::Text(self.to_owned()),
        }
    }
}

impl ToSocketAddrs for String {}
impl Sealed for String {
    fn addresses(&self) -> Addresses {
        self.as_str().addresses()
    }
}

impl ToSocketAddrs for [SocketAddr] {}
impl Sealed for [SocketAddr] {
    fn addresses(&self) -> Addresses {
        Addresses::Many(self.to_vec())
    }
}

impl<const N: usize> ToSocketAddrs for [SocketAddr; N] {}
impl<const N: usize> Sealed for [SocketAddr; N] {
    fn addresses(&self) -> Addresses {
        self.as_slice().addresses()
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: Sealed + ?Sized> Sealed for &T {
    fn addresses(&self) -> Addresses {
        (**self).addresses()
    }
}
