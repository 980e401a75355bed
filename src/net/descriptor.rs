//! What every socket shows of the system's: its description for `Debug`, and its descriptor.

use super::listener::TcpListener;
use super::stream::TcpStream;
use super::udp::UdpSocket;
#[cfg(unix)]
use super::unix::{datagram::UnixDatagram, listener::UnixListener, stream::UnixStream};
use std::fmt;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, RawSocket};

macro_rules! descriptor_traits {
    ($($socket:ty),*) => {$(
        impl fmt::Debug for $socket {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.socket.get().fmt(f)
            }
        }

        #[cfg(unix)]
        impl AsFd for $socket {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket.get().as_fd()
            }
        }

        #[cfg(unix)]
        impl AsRawFd for $socket {
            fn as_raw_fd(&self) -> RawFd {
                self.socket.get().as_raw_fd()
            }
        }

        #[cfg(windows)]
        impl AsRawSocket for $socket {
            fn as_raw_socket(&self) -> RawSocket {
                self.socket.get().as_raw_socket()
            }
        }
    )*};
}

descriptor_traits!(TcpListener, TcpStream, UdpSocket);
#[cfg(unix)]
descriptor_traits!(UnixListener, UnixStream, UnixDatagram);
