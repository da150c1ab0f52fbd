//! Hashes that came from elsewhere.

use crate::harness::{Site, expect_plain, log_in};

/// Of `secret123`, at the cost that a well-known course application uses.
const BCRYPT: &str = "$2b$05$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce";

#[tokio::test]
async fn a_bcrypt_hash_from_elsewhere_is_renewed_at_the_next_login() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let hash = || -> String { site.redis_cli(&["HGET", "ncc:user:77", "password"]) };
    for foreign in
        [BCRYPT.to_owned(), BCRYPT.replace("$2b$", "$2a$"), BCRYPT.replace("$2b$", "$2y$")]
    {
        let _: i64 = site.redis_cli(&["HSET", "ncc:user:77", "password", &foreign]);
        expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
        let renewed = hash();
        assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "not renewed");
        expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
        assert_eq!(hash(), renewed, "renewed once");
    }
}
