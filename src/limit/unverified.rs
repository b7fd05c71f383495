//! Counts the bodies that are awaited before it is known who calls.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
};

use crate::mutex::lock;

/// The share of all requests in flight that may wait for such a body, so that they never take every place.
const SHARE: usize = 4;

/// The share of one client. Terraform asks for fifty pages at once.
const SHARE_OF_CLIENT: usize = 8;

/// The bits of an IPv6 address by which clients are told apart: one host has all addresses of such a network.
const PREFIX: u128 = !0 << 64;

/// How many bodies of callers are awaited who are not known yet. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct UnverifiedBodies(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    clients: HashMap<Option<IpAddr>, usize>,
}

/// One body that is counted until this is dropped.
#[derive(Debug)]
#[must_use = "a body that is not held is not counted"]
pub struct UnverifiedBody {
    unverified: UnverifiedBodies,
    client: Option<IpAddr>,
}

impl UnverifiedBodies {
    /// Counts one more body from a client until the returned value is dropped; `None` if this client, or all together,
    /// have their share of `most` requests already. Clients without an address are one client.
    #[must_use]
    pub fn begin(&self, client: Option<IpAddr>, most: usize) -> Option<UnverifiedBody> {
        let client = client.map(network);
        let mut waiting = lock(&self.0);
        let own = waiting.clients.get(&client).copied().unwrap_or_default();
        let full = |share: usize| (most / share).max(1);
        if waiting.all >= full(SHARE) || own >= full(SHARE_OF_CLIENT) {
            return None;
        }
        waiting.all += 1;
        waiting.clients.insert(client, own + 1);
        Some(UnverifiedBody { unverified: self.clone(), client })
    }
}

impl Drop for UnverifiedBody {
    fn drop(&mut self) {
        let mut waiting = lock(&self.unverified.0);
        waiting.all = waiting.all.saturating_sub(1);
        match waiting.clients.get_mut(&self.client) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(waiting.clients.remove(&self.client)),
        }
    }
}

fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & PREFIX).into(),
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_an_eighth_and_all_together_a_quarter() {
        let unverified = UnverifiedBodies::default();
        let client = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let begin = |client| unverified.begin(client, 16);
        let mut held = vec![begin(client("10.0.0.1")).unwrap(), begin(client("10.0.0.1")).unwrap()];
        assert!(begin(client("10.0.0.1")).is_none() && begin(client("::ffff:10.0.0.1")).is_none());
        held.push(begin(client("2001:db8::1")).unwrap());
        held.push(begin(client("2001:db8::2:0:0:1")).unwrap());
        // A quarter is full, so nobody else has a place, until one is given back.
        assert!(begin(None).is_none() && begin(client("10.0.0.2")).is_none());
        drop(held.remove(0));
        assert!(begin(client("2001:db8::3")).is_none(), "the third of one network");
        held.push(begin(None).unwrap());
        drop(held);
        assert!(lock(&unverified.0).clients.is_empty());
        // However small the limit is, one body at a time is read.
        let one = unverified.begin(None, 1).unwrap();
        assert!(unverified.begin(None, 1).is_none());
        drop(one);
        assert!(unverified.begin(None, 1).is_some());
    }
}
