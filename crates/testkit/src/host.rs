use std::net::Ipv4Addr;
use std::process::Command;

/// A place in which servers and programs run: their address, and the words before each of their
/// commands, such as `ip netns exec NAME`. The program that these words name has to execute the command
/// in its own process, so that a signal reaches it.
#[derive(Clone, Debug)]
pub struct Host {
    address: Ipv4Addr,
    words: Vec<String>,
}

impl Host {
    /// Returns this machine, at 127.0.0.1.
    pub fn local() -> Host {
        Host::new(Ipv4Addr::LOCALHOST, &[])
    }

    pub fn new(address: Ipv4Addr, words: &[&str]) -> Host {
        Host { address, words: words.iter().map(ToString::to_string).collect() }
    }

    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns the command as it runs here, with its arguments, variables and directory.
    pub fn command(&self, command: Command) -> Command {
        let Some((first, others)) = self.words.split_first() else { return command };
        let mut here = Command::new(first);
        here.args(others).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => here.env(name, value),
                None => here.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            here.current_dir(directory);
        }
        here
    }
}
