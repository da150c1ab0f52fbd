//! A request whose body has not been sent yet.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use testkit::Client;

use crate::harness::PATIENCE;

pub(crate) struct UnderWay {
    stream: BufReader<TcpStream>,
    body: String,
}

impl UnderWay {
    /// Returns when the handler begins to read the body.
    pub(crate) fn post(browser: &Client, port: u16, path: &str, body: &Value) -> UnderWay {
        UnderWay::of(browser, port, &format!("POST {path}"), body)
    }

    /// Returns when the handler begins to read the body. `request` is the method and the path.
    pub(crate) fn of(browser: &Client, port: u16, request: &str, body: &Value) -> UnderWay {
        let mut request = UnderWay::head(browser, port, request, body, "Expect: 100-continue\r\n");
        let mut line = String::new();
        request.stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 100"), "{line}");
        request
    }

    /// Returns when the request lies with the operating system, whether or not the service reads it.
    pub(crate) fn unread(browser: &Client, port: u16, path: &str, body: &Value) -> UnderWay {
        UnderWay::head(browser, port, &format!("POST {path}"), body, "")
    }

    fn head(browser: &Client, port: u16, request: &str, body: &Value, more: &str) -> UnderWay {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = body.to_string();
        let cookie = browser.jar().header().map(|cookies| format!("Cookie: {cookies}\r\n"));
        let head = format!(
            "{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{}{more}Connection: close\r\n\r\n",
            body.len(),
            cookie.unwrap_or_default()
        );
        stream.write_all(head.as_bytes()).unwrap();
        UnderWay { stream: BufReader::new(stream), body }
    }

    /// Sends the body, and hangs up after this time: how far the server has come by then is what differs.
    pub(crate) fn hang_up(mut self, after: Duration) {
        self.stream.get_mut().write_all(self.body.as_bytes()).unwrap();
        thread::sleep(after);
    }

    /// Sends the body, and gives the answer with its head.
    pub(crate) fn finish(mut self) -> String {
        self.stream.get_mut().write_all(self.body.as_bytes()).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
