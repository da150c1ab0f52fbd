//! Measures the behaviour when connections fail, and whether a write is sent twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::{sleep, timeout};

use crate::link::{Candidate, Link, Options};
use crate::proxy::Proxy;
use crate::server::Server;

/// Longer than any configured time-out. A command that takes this long counts as hung.
const HUNG: Duration = Duration::from_secs(8);
const SHORT: Duration = Duration::from_millis(5);

pub async fn measure(candidate: Candidate, resp3: bool) -> Result<()> {
    println!("## {}, {}", candidate.name(), if resp3 { "RESP3" } else { "RESP2 (rustis: RESP3)" });
    let ours = Options { resp3, ..Options::default() };
    let delivered = Options { library_retries: true, ..ours };
    for (name, options) in [("our settings", ours), ("default retries", delivered)] {
        for cuts in [1, 50] {
            lost_reply(candidate, options, name, cuts).await?;
        }
    }
    killed_while_idle(candidate, ours).await?;
    killed_under_load(candidate, ours).await?;
    restarted(candidate, ours, "our settings").await?;
    restarted(candidate, delivered, "default retries").await?;
    if candidate == Candidate::RedisManager {
        restarted(candidate, Options { impatient: true, ..ours }, "no connect retries").await?;
    }
    paused(candidate, ours).await?;
    unreachable(candidate, ours).await?;
    frozen(candidate, ours).await
}

/// The server executes the command, and its reply is lost with the connection.
async fn lost_reply(candidate: Candidate, options: Options, name: &str, cuts: usize) -> Result<()> {
    let server = Server::start(&[])?;
    let proxy = Proxy::start(0, server.port).await?;
    let mut link = Link::connect(candidate, proxy.port, options).await?;
    proxy.faults.lose_replies.store(cuts, Ordering::Relaxed);
    let started = Instant::now();
    let answer = describe(timeout(HUNG, link.increment("n")).await);
    let took = started.elapsed();
    sleep(Duration::from_secs(1)).await;
    let executed = server.raw()?.call(&["GET", "n"])?;
    println!(
        "- lost reply, {name}, up to {cuts} cut(s): executed {executed} time(s); caller got {answer} after {took:.0?}"
    );
    Ok(())
}

async fn killed_while_idle(candidate: Candidate, options: Options) -> Result<()> {
    let server = Server::start(&[])?;
    let mut link = Link::connect(candidate, server.port, options).await?;
    link.increment("n").await?;
    server.raw()?.call(&["CLIENT", "KILL", "TYPE", "normal"])?;
    sleep(Duration::from_millis(300)).await;
    let first = describe(timeout(HUNG, link.increment("n")).await);
    let second = describe(timeout(HUNG, link.increment("n")).await);
    println!("- killed while idle: first command {first}; second {second}");
    Ok(())
}

/// If a write is repeated, there are more executions than calls.
async fn killed_under_load(candidate: Candidate, options: Options) -> Result<()> {
    const KILLS: usize = 50;
    let server = Server::start(&[])?;
    let link = Link::connect(candidate, server.port, options).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (mut link, stop) = (link.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut fine, mut failed) = (0_u64, 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    match timeout(HUNG, link.increment("n")).await {
                        Ok(Ok(_)) => fine += 1,
                        _ => {
                            failed += 1;
                            sleep(Duration::from_millis(1)).await;
                        }
                    }
                }
                (fine, failed)
            })
        })
        .collect();
    let mut raw = server.raw()?;
    for _ in 0..KILLS {
        sleep(Duration::from_millis(40)).await;
        raw.call(&["CLIENT", "KILL", "TYPE", "normal"])?;
    }
    stop.store(true, Ordering::Relaxed);
    let (mut fine, mut failed) = (0, 0);
    for task in tasks {
        let (more_fine, more_failed) = task.await?;
        fine += more_fine;
        failed += more_failed;
    }
    sleep(Duration::from_millis(200)).await;
    let executed: u64 = raw.call(&["GET", "n"])?.parse()?;
    let verdict =
        if executed > fine + failed { "MORE THAN CALLED" } else { "never more than called" };
    println!(
        "- {KILLS} kills under load: {fine} answered, {failed} failed, {executed} executed: {verdict}"
    );
    Ok(())
}

/// The server is down for three seconds, while one caller keeps sending commands.
async fn restarted(candidate: Candidate, options: Options, name: &str) -> Result<()> {
    let mut server = Server::start(&[])?;
    let mut link = Link::connect(candidate, server.port, options).await?;
    link.increment("n").await?;
    server.kill()?;
    let caller = tokio::spawn(async move {
        let (mut waits, mut errors) = (Vec::new(), BTreeMap::<String, usize>::new());
        loop {
            let started = Instant::now();
            let answer = timeout(HUNG, link.increment("n")).await;
            if matches!(answer, Ok(Ok(_))) {
                return (Instant::now(), waits, errors);
            }
            waits.push(started.elapsed());
            *errors.entry(describe(answer)).or_default() += 1;
            sleep(SHORT).await;
        }
    });
    sleep(Duration::from_secs(3)).await;
    let _server = tokio::task::spawn_blocking(move || server.launch().map(|()| server)).await??;
    let server_back = Instant::now();
    let answered = timeout(Duration::from_secs(20), caller).await;
    let Ok(answered) = answered else {
        println!("- restart, {name}: no answer within 20 s");
        return Ok(());
    };
    let (recovered, mut waits, errors) = answered?;
    waits.sort_unstable();
    let middle = waits.get(waits.len() / 2).copied().unwrap_or_default();
    let longest = waits.last().copied().unwrap_or_default();
    println!(
        "- restart, {name}: while down {} failures, median wait {middle:.1?}, longest {longest:.0?}; first success {:.0?} after the server was back; errors {errors:?}",
        waits.len(),
        recovered.saturating_duration_since(server_back),
    );
    Ok(())
}

/// The server is suspended, and later replies to all commands.
async fn paused(candidate: Candidate, options: Options) -> Result<()> {
    const CALLS: usize = 50;
    let server = Server::start(&[])?;
    let mut raw = server.raw()?;
    for number in 0..CALLS * 2 {
        raw.call(&["SET", &format!("k{number}"), &format!("k{number}")])?;
    }
    let proxy = Proxy::start(0, server.port).await?;
    let link = Link::connect(candidate, proxy.port, options).await?;
    let opened = proxy.opened();
    server.pause()?;
    let (mut waits, mut error) = (Vec::new(), String::new());
    for (wait, answer) in read_all(&link, 0..CALLS).await? {
        waits.push(wait);
        error = answer.map_or_else(|error| format!("{error:#}"), |_| "a reply".to_owned());
    }
    let longest = waits.iter().max().context("no calls")?;
    server.resume()?;
    let after = read_all(&link, CALLS..CALLS * 2).await?;
    let fine = after.iter().filter(|(_, answer)| matches!(answer, Ok(true))).count();
    let wrong = after.iter().filter(|(_, answer)| matches!(answer, Ok(false))).count();
    println!(
        "- server suspended: {CALLS} calls failed, longest wait {longest:.0?}, last error {error:?}; after it continued {fine} right, {wrong} WRONG of {CALLS}; new connections {}",
        proxy.opened() - opened,
    );
    Ok(())
}

type Timed = (Duration, Result<bool>);

async fn read_all(link: &Link, keys: std::ops::Range<usize>) -> Result<Vec<Timed>> {
    let tasks: Vec<_> = keys
        .map(|number| {
            let mut link = link.clone();
            tokio::spawn(async move {
                let key = format!("k{number}");
                let started = Instant::now();
                let answer = timeout(HUNG, link.get(&key)).await;
                let answer = answer.map_err(anyhow::Error::from).and_then(|answer| answer);
                (started.elapsed(), answer.map(|value| value == key.as_bytes()))
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await?);
    }
    Ok(answers)
}

/// Connects to a server that does not reply, and to a port whose queue is full.
async fn unreachable(candidate: Candidate, options: Options) -> Result<()> {
    let server = Server::start(&[])?;
    server.pause()?;
    let stalled = connect_time(candidate, server.port, options).await;
    server.resume()?;
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    full.listen(0)?;
    let address = full.local_addr()?.as_socket().context("an internet address")?;
    let short = Duration::from_millis(100);
    let _fillers: Vec<_> =
        (0..2).map(|_| std::net::TcpStream::connect_timeout(&address, short)).collect();
    let silent = connect_time(candidate, address.port(), options).await;
    println!("- connect, server suspended: {stalled}; connect, SYN unanswered: {silent}");
    Ok(())
}

async fn connect_time(candidate: Candidate, port: u16, options: Options) -> String {
    let started = Instant::now();
    let answer = timeout(HUNG, Link::connect(candidate, port, options)).await;
    let answer = describe(answer.map(|answer| answer.map(|_| 0)));
    format!("{answer} after {:.0?}", started.elapsed())
}

/// Checks whether a client replaces a connection that is dead but open, while the server is
/// running.
async fn frozen(candidate: Candidate, options: Options) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(15);
    let server = Server::start(&[])?;
    let proxy = Proxy::start(0, server.port).await?;
    let mut link = Link::connect(candidate, proxy.port, options).await?;
    link.increment("n").await?;
    proxy.freeze();
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if timeout(HUNG, link.increment("n")).await.is_ok_and(|answer| answer.is_ok()) {
            println!("- dead but open connection: replaced after {:.0?}", started.elapsed());
            return Ok(());
        }
        sleep(SHORT).await;
    }
    println!("- dead but open connection: not replaced within {LIMIT:?}");
    Ok(())
}

fn describe(answer: Result<Result<i64>, tokio::time::error::Elapsed>) -> String {
    match answer {
        Ok(Ok(_)) => "a reply".to_owned(),
        Ok(Err(error)) => format!("error {:?}", format!("{error:#}")),
        Err(_) => "nothing (hung)".to_owned(),
    }
}
