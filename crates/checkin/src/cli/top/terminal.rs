//! The terminal while `checkin top` draws on it.

use std::io;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How often the reader of keys looks whether anybody still wants them.
const POLL: Duration = Duration::from_millis(100);

/// Something that happened at the terminal.
pub(super) enum Key {
    /// A key that ends the program.
    Quit,
    /// The terminal has another size.
    Resize,
}

/// The terminal in raw mode and with its alternate screen. Dropping it restores the terminal; a panic does, too.
pub(super) struct Terminal {
    screen: DefaultTerminal,
    keys: UnboundedReceiver<io::Result<Key>>,
}

impl Terminal {
    pub(super) fn open() -> anyhow::Result<Self> {
        let screen = ratatui::try_init().context("cannot draw on the terminal")?;
        // A person is the source of keys, so that few of them wait.
        let (sender, keys) = unbounded_channel();
        thread::spawn(move || read_keys(&sender));
        Ok(Self { screen, keys })
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> anyhow::Result<()> {
        self.screen.draw(draw).context("cannot draw on the terminal")?;
        Ok(())
    }

    /// Waits for the next key.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no key.
    pub(super) async fn key(&mut self) -> anyhow::Result<Key> {
        let key = self.keys.recv().await.ok_or_else(|| anyhow!("the reader of keys has ended"))?;
        key.context("cannot read the keys of the terminal")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Reads keys until nobody wants them any more.
fn read_keys(sender: &UnboundedSender<io::Result<Key>>) {
    while !sender.is_closed() {
        let key = match event::poll(POLL) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let (key, has_failed) = match key {
            Ok(event) => (meaning(&event).map(Ok), false),
            Err(error) => (Some(Err(error)), true),
        };
        if key.is_some_and(|key| sender.send(key).is_err()) || has_failed {
            return;
        }
    }
}

fn meaning(event: &Event) -> Option<Key> {
    match event {
        Event::Resize(..) => Some(Key::Resize),
        Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
            _ => None,
        },
        _ => None,
    }
}
