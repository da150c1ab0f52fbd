use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// The first port that is given out. The ports and those of their cluster buses are below the range from which Linux
/// takes the local ports of outgoing connections, so that a server that was stopped finds its port still free when
/// it starts again.
const FIRST: u16 = 12_000;

/// The distance from the port of a Redis server to that of its cluster bus, which Redis fixes. It is also the number of
/// ports that are given out, so none of them is the bus of another one.
const BUS: u16 = 10_000;

/// The number of ports that a process reserves at once.
const BLOCK: u16 = 100;

static RESERVED: Mutex<Reserved> =
    Mutex::new(Reserved { ports: Vec::new(), next: 0, reservations: Vec::new() });

/// The ports that belong to this process until it ends.
struct Reserved {
    ports: Vec<u16>,
    /// The place of the port that is given out next.
    next: usize,
    /// A UDP socket for each block of ports, at the number of its first bus. The kernel gives it to one process at a
    /// time, and takes it back when the process ends. No server of the tests uses UDP at these numbers.
    reservations: Vec<UdpSocket>,
}

/// Returns a port on which no program listens, nor at the port of the cluster bus that would belong to it. Neither
/// another thread nor another process that calls this function gets the same port.
pub fn free_port() -> u16 {
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    let free = (0..BUS).map(|_| reserved.next()).find(|port| is_free(*port) && is_free(port + BUS));
    free.unwrap_or_else(|| panic!("no free port on 127.0.0.1 from {FIRST} to {}", FIRST + BUS - 1))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

impl Reserved {
    /// Returns the next port. If no more can be reserved, begins again with the one that was given out first.
    fn next(&mut self) -> u16 {
        if self.next == self.ports.len() && !self.reserve() {
            self.next = 0;
        }
        let port = self.ports.get(self.next).expect("other processes have not reserved all ports");
        self.next += 1;
        *port
    }

    /// Reserves another block, if one is left.
    fn reserve(&mut self) -> bool {
        let mut blocks = (FIRST..FIRST + BUS).step_by(usize::from(BLOCK));
        let reserved = blocks.find_map(|first| {
            let reservation = UdpSocket::bind((Ipv4Addr::LOCALHOST, first + BUS)).ok()?;
            Some((first..first + BLOCK, reservation))
        });
        let Some((ports, reservation)) = reserved else { return false };
        self.ports.extend(ports);
        self.reservations.push(reservation);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::program::Program;

    /// More than a block.
    const PORTS: usize = 250;

    /// Lets the test print its ports and wait.
    const OTHER: &str = "TESTKIT_OTHER_PROCESS";

    #[test]
    fn no_two_threads_or_processes_get_the_same_port() {
        if std::env::var_os(OTHER).is_some() {
            let ports = [(); PORTS].map(|()| free_port().to_string());
            eprintln!("ports: {}", ports.join(" "));
            return thread::sleep(Duration::from_secs(60));
        }
        let others = [(); 2].map(|()| {
            let mut other = Command::new(std::env::current_exe().unwrap());
            let name = "port::tests::no_two_threads_or_processes_get_the_same_port";
            other.args([name, "--exact", "--nocapture"]).env(OTHER, "yes");
            Program::spawn(other)
        });
        let threads = [(); 2].map(|()| thread::spawn(|| [(); PORTS].map(|()| free_port())));
        let mut ports: Vec<u16> = threads.into_iter().flat_map(|it| it.join().unwrap()).collect();
        for other in &others {
            let line = other.wait_for_line("ports: ", Duration::from_secs(30));
            let (_, given) = line.split_once("ports: ").unwrap();
            ports.extend(given.split(' ').map(|port| port.parse::<u16>().unwrap()));
        }
        assert_eq!(ports.len(), 4 * PORTS);
        assert!(ports.iter().all(|port| (FIRST..FIRST + BUS).contains(port)), "{ports:?}");
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
    }

    #[test]
    fn a_port_whose_bus_is_taken_is_not_given_out() {
        let mut reserved = RESERVED.lock().unwrap();
        let next = reserved.next();
        reserved.next -= 1;
        let _bus = TcpListener::bind((Ipv4Addr::LOCALHOST, next + BUS)).unwrap();
        drop(reserved);
        assert_ne!(free_port(), next);
    }
}
