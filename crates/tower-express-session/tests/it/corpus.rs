//! The rules of the fuzz targets hold for each file of their corpus. The fuzzer itself does not run here.

use std::path::Path;

#[path = "../../fuzz/rules/cookie_header.rs"]
mod cookie_header;
#[path = "../../fuzz/rules/encrypted_value.rs"]
mod encrypted_value;
#[path = "../../fuzz/rules/merge.rs"]
mod merge;
#[path = "../../fuzz/rules/record_json.rs"]
mod record_json;
#[path = "../../fuzz/rules/unsign.rs"]
mod unsign;

/// Checks the rules of a fuzz target for one input.
type Check = fn(&[u8]);

#[test]
fn the_corpus_of_each_fuzz_target_breaks_no_rule() {
    let targets: [(&str, Check); 5] = [
        ("cookie_header", cookie_header::check_input),
        ("encrypted_value", encrypted_value::check_input),
        ("merge", merge::check_input),
        ("record_json", record_json::check_input),
        ("unsign", unsign::check_input),
    ];
    for (target, check_input) in targets {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let files = std::fs::read_dir(corpus).unwrap();
        let number =
            files.map(|file| check_input(&std::fs::read(file.unwrap().path()).unwrap())).count();
        assert!(number > 2, "{target} has no corpus");
    }
}
