//! Hosts with addresses of their own, and what may happen to the network between them. They are network
//! namespaces behind one bridge; the clients are on the bridge itself, and reach all hosts at any time.

use std::net::Ipv4Addr;

use testkit::Host;

use super::processes::run;

pub(crate) const HOSTS: usize = 3;

const BRIDGE: &str = "chaos";
/// The address of the clients.
const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 254);

/// What of the traffic between a host and the others is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Both,
    /// What the host sends.
    Outgoing,
    /// About so many of a hundred packets that the host receives.
    Incoming(u8),
}

pub(crate) struct Network;

impl Network {
    /// Starts the hosts. It needs a network namespace in which nobody else has done so.
    pub(crate) fn start() -> Self {
        ip(&format!("link add {BRIDGE} type bridge"));
        ip(&format!("addr add {CLIENTS}/24 dev {BRIDGE}"));
        ip(&format!("link set {BRIDGE} up"));
        for number in 0..HOSTS {
            let (name, address) = (name(number), address(number));
            ip(&format!("netns add {name}"));
            ip(&format!("link add {name} type veth peer name eth0 netns {name}"));
            ip(&format!("link set {name} master {BRIDGE} up"));
            ip(&format!("-n {name} addr add {address}/24 dev eth0"));
            ip(&format!("-n {name} link set eth0 up"));
            ip(&format!("-n {name} link set lo up"));
        }
        Self
    }

    pub(crate) fn hosts(&self) -> Vec<Host> {
        let host = |number| Host::new(address(number), &["ip", "netns", "exec", &name(number)]);
        (0..HOSTS).map(host).collect()
    }

    /// Drops traffic between the first host and the others, silently.
    pub(crate) fn cut(&self, cut: Cut) {
        let others = (1..HOSTS).map(|number| address(number).to_string()).collect::<Vec<_>>();
        let others = others.join(", ");
        let (input, output) = match cut {
            Cut::Both => ("drop".to_owned(), "drop"),
            Cut::Outgoing => ("accept".to_owned(), "drop"),
            Cut::Incoming(percent) => (format!("numgen random mod 100 < {percent} drop"), "accept"),
        };
        let rules = format!(
            "table ip chaos {{
                chain input {{
                    type filter hook input priority 0
                    ip saddr {{ {others} }} {input}
                }}
                chain output {{
                    type filter hook output priority 0
                    ip daddr {{ {others} }} {output}
                }}
            }}"
        );
        in_first(&["nft", &rules]);
    }

    /// Ends what [`cut`](Self::cut) began.
    pub(crate) fn heal(&self) {
        in_first(&["nft", "flush", "ruleset"]);
    }

    /// Limits what the first host sends, and what it receives, to 256 kbit/s each.
    pub(crate) fn narrow(&self) {
        in_first(&limit("add", "eth0"));
        run(&limit("add", &name(0)));
    }

    /// Ends what [`narrow`](Self::narrow) began.
    pub(crate) fn widen(&self) {
        in_first(&limit("del", "eth0"));
        run(&limit("del", &name(0)));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for number in 0..HOSTS {
            ip(&format!("link del {}", name(number)));
            ip(&format!("netns del {}", name(number)));
        }
        ip(&format!("link del {BRIDGE}"));
    }
}

fn name(number: usize) -> String {
    format!("host{number}")
}

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 213, 0, number as u8 + 1)
}

fn ip(words: &str) {
    run(&["ip"].into_iter().chain(words.split(' ')).collect::<Vec<_>>());
}

fn in_first(words: &[&str]) {
    run(&[&["ip", "netns", "exec", &name(0)], words].concat());
}

fn limit<'a>(verb: &'a str, device: &'a str) -> Vec<&'a str> {
    let limit = "root tbf rate 256kbit burst 4kb latency 400ms";
    ["tc", "qdisc", verb, "dev", device].into_iter().chain(limit.split(' ')).collect()
}
