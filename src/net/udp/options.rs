//! Options of a UDP socket: broadcast, hops, multicast groups.

use super::UdpSocket;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Options of the socket, which are the system's. The errors are the system's, too.
impl UdpSocket {
    /// Sets whether datagrams may be sent to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.socket.get().set_broadcast(on)
    }

    /// Returns whether datagrams may be sent to broadcast addresses.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket.get().broadcast()
    }

    /// Sets how many hops a datagram may take (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.socket.get().set_ttl(hops)
    }

    /// Returns how many hops a datagram may take.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.get().ttl()
    }

    /// Sets whether this machine receives the multicast datagrams that the socket sends.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.socket.get().set_multicast_loop_v4(on)
    }

    /// Sets how many hops a multicast datagram may take.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn set_multicast_ttl_v4(&self, hops: u32) -> io::Result<()> {
        self.socket.get().set_multicast_ttl_v4(hops)
    }

    /// Sets whether this machine receives the multicast datagrams that the socket sends.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.socket.get().set_multicast_loop_v6(on)
    }

    /// Joins a multicast group on the interface with this address; `0.0.0.0` leaves the choice to the system.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.socket.get().join_multicast_v4(&group, &interface)
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.socket.get().leave_multicast_v4(&group, &interface)
    }

    /// Joins a multicast group on the interface with this index; 0 leaves the choice to the system.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.get().join_multicast_v6(group, interface)
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.get().leave_multicast_v6(group, interface)
    }
}
