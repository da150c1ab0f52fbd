//! Random numbers that can be repeated.

/// The variable that chooses the seed.
const VARIABLE: &str = "SEED";

/// Used without a variable, so that a run does not fail by chance alone.
const DEFAULT: u32 = 20_240_517;

/// Returns the seed of tests with random numbers: the variable `SEED`, or a fixed default. Prints it for
/// the report of a failure.
///
/// # Panics
///
/// If `SEED` is not a number from 0 to 2^32 - 1: the programs that take a seed accept no greater one.
pub fn seed() -> u32 {
    let seed = std::env::var(VARIABLE).map_or(DEFAULT, |text| parse(&text));
    eprintln!("{VARIABLE}={seed}");
    seed
}

/// Returns a generator that begins with [`seed`].
///
/// # Panics
///
/// As [`seed`].
pub fn random() -> Rng {
    Rng::with_seed(seed().into())
}

pub use fastrand::Rng;

fn parse(text: &str) -> u32 {
    text.parse()
        .unwrap_or_else(|_| panic!("{VARIABLE} must be a number from 0 to 2^32 - 1, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_number() {
        assert_eq!(parse("4294967295"), u32::MAX);
        let message = std::panic::catch_unwind(|| parse("-1")).unwrap_err();
        assert!(message.downcast_ref::<String>().unwrap().starts_with("SEED must be a number"));
    }
}
