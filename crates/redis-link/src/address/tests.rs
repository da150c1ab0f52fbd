use super::*;

fn parsed(url: &str) -> Result<Deployment, Error> {
    url.parse().map(|address: Address| address.deployment)
}

fn server(url: &str) -> ConnectionInfo {
    match parsed(url) {
        Ok(Deployment::Server(info)) => info,
        other => panic!("{url}: {other:?}"),
    }
}

fn sentinel(url: &str) -> SentinelAddress {
    match parsed(url) {
        Ok(Deployment::Sentinel(address)) => address,
        other => panic!("{url}: {other:?}"),
    }
}

#[test]
fn hosts_and_ports_are_parsed() {
    for (url, host, port) in [
        ("redis://localhost", "localhost", 6379),
        ("REDIS://localhost/", "localhost", 6379),
        ("redis://127.0.0.1:6380/3", "127.0.0.1", 6380),
        ("redis://redis_1.net-a:1", "redis_1.net-a", 1),
        ("redis://h:", "h", 6379),
        ("redis://[::1]:6380", "::1", 6380),
        ("redis://[::1]", "::1", 6379),
        ("redis://[fe80::1%25eth0]/1", "fe80::1%eth0", 6379),
    ] {
        let expected = ConnectionAddr::Tcp(host.into(), port);
        assert_eq!(server(url).addr(), &expected, "{url}");
    }
    assert!(matches!(server("rediss://h").addr(), ConnectionAddr::TcpTls { .. }));
}

#[test]
fn databases_are_parsed() {
    for (url, db) in [
        ("redis://h", 0),
        ("redis://h/", 0),
        ("redis://h/2", 2),
        ("redis://h/2/", 2),
        ("redis://h?db=2", 2),
        ("redis://h/?db=2", 2),
        ("redis://h/2?db=2", 2),
        ("redis://h/?db=%32", 2),
        ("rediss://h/?db=15&", 15),
    ] {
        assert_eq!(server(url).redis_settings().db(), db, "{url}");
    }
    assert_eq!(sentinel("redis-sentinel://h/m/3").server.db(), 3);
    assert_eq!(sentinel("redis-sentinel://h/m?db=3").server.db(), 3);
    for url in ["redis-cluster://h", "redis-cluster://h/0", "redis-cluster://h/?db=0"] {
        assert!(matches!(parsed(url), Ok(Deployment::Cluster(_))), "{url}");
    }
}

#[test]
fn logins_are_parsed() {
    for (url, user, password) in [
        ("redis://h", None, None),
        ("redis://:@h", None, None),
        ("redis://:p@h", None, Some("p")),
        ("redis://u:p%40s%2Fs%3F%23%25@h", Some("u"), Some("p@s/s?#%")),
        ("redis://u:a:b@h", Some("u"), Some("a:b")),
        ("redis://u:a@b@h", Some("u"), Some("a@b")),
        ("redis://%C3%BC:p+p@h", Some("ü"), Some("p+p")),
        ("redis://h?password=p%26p", None, Some("p&p")),
        ("redis://u:p@h?password=p", Some("u"), Some("p")),
    ] {
        let settings = server(url).redis_settings().clone();
        assert_eq!((settings.username(), settings.password()), (user, password), "{url}");
    }
}

#[test]
fn sentinel_addresses_are_parsed() {
    let address = sentinel("redis-sentinel://u:p@a:1,b,[::1]:3/my%20master/2");
    let tcp = |host: &str, port| ConnectionAddr::Tcp(host.into(), port);
    assert_eq!(address.sentinels, [tcp("a", 1), tcp("b", 26_379), tcp("::1", 3)]);
    assert_eq!((address.master.as_str(), address.server.db()), ("my master", 2));
    let logins = |url: &str| {
        let logins = sentinel(url).logins.into_iter();
        let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
        logins.map(|login| text(login.username()) + " " + &text(login.password())).collect()
    };
    let all: Vec<String> = logins("redis-sentinel://a/m");
    assert_eq!(all, ["- -"]);
    let all: Vec<String> = logins("redis-sentinel://u:p@a/m/2");
    assert_eq!(all, ["- -", "u p"], "without a login, then with the master's login");
    let all: Vec<String> = logins("redis-sentinel://u:p@a/m?sentinel_password=s");
    assert_eq!(all, ["- s"]);
    let all: Vec<String> =
        logins("redis-sentinel://a/m?sentinel_user=v&sentinel_password=s%26&db=1");
    assert_eq!(all, ["v s&"]);
}

#[test]
fn errors_name_the_rule_and_never_the_password() {
    for (url, says) in [
        ("localhost:6379", "a scheme"),
        ("http://localhost", "the scheme must"),
        ("redis-moon://localhost", "the scheme must"),
        ("redis://", "name a host"),
        ("redis://u:hunter2@", "name a host"),
        ("redis://a,b", "one host"),
        ("redis-cluster://a,,b", "name a host"),
        ("redis-sentinel://u:hunter2@a:1", "name the master"),
        ("redis-sentinel://u:hunter2@a:1//2", "name the master"),
        ("redis-cluster://a:1/3", "must be 0"),
        ("redis-cluster://a:1?db=3", "must be 0"),
        ("redis://u:hunter2@h:99999", "a port"),
        ("redis://u:hunter2@h:0", "a port"),
        ("redis://h:+1", "a port"),
        ("redis://::1", "a port"),
        ("redis://[::1", "end with ]"),
        ("redis://[h]", "IPv6"),
        ("redis://h h", "a name or an address"),
        ("redis://u:hunter2@h:1/x", "the database"),
        ("redis://h/-1", "the database"),
        ("redis://h/1/2", "the database"),
        ("redis://h/99999999999", "the database"),
        ("redis://h?db=", "db must not be empty"),
        ("redis://h?db=two", "the database"),
        ("redis://h/1?db=2", "two different databases"),
        ("redis://h?db=1&db=1", "twice"),
        ("redis://h?timeout=5s", "timeout"),
        ("redis://h?DB=2", "DB"),
        ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs"),
        ("redis://h?sentinel_password=hunter2", "sentinel_password"),
        ("redis-sentinel://h/m?sentinel_user=u", "sentinel_password"),
        ("redis://h/2#hunter2", "fragment"),
        ("redis://:hunter2#@h", "fragment"),
        ("redis://:hunter2/x@h", "%2F"),
        ("redis://:hunter2?x@h", "%2F"),
        ("redis://hunter2@h", "user:password@host"),
        ("redis://hunter2:@h", "user:password@host"),
        ("redis://:hunter2%@h", "%25"),
        ("redis://:hunter2%FF@h", "UTF-8"),
        ("redis://:hunter2@h?password=other", "two different passwords"),
    ] {
        let error = parsed(url).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{url}: {error}");
    }
}
