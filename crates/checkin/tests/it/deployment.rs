//! The files in `deploy/`, checked by the programs that know their formats.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use testkit::free_port;

use crate::harness::Site;

const SERVICES: [&str; 5] = ["api", "auth", "console", "processor", "receiver"];

/// The highest exposure of the unit, in tenths; a unit without any setting has 96.
const EXPOSURE: &str = "--threshold=15";

/// The oldest version of Kubernetes that the manifests are for, and the newest that the validator knows.
const KUBERNETES: [&str; 2] = ["1.30.0", "1.37.0"];

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(crate) fn deploy(file: &str) -> PathBuf {
    repository().join("deploy").join(file)
}

/// A program that `scripts/test` installs from PyPI.
pub(crate) fn of_pypi(name: &str) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    Command::new(target.join("venv/bin").join(name))
}

/// Runs a program that must have nothing to say but yes, and returns what it printed.
#[track_caller]
pub(crate) fn approved(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {said}{printed}");
    printed.into_owned()
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/test"))
}

/// The documents of a YAML file.
fn documents(yaml: &[u8]) -> Vec<Value> {
    let convert =
        "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)";
    let mut python = of_pypi("python")
        .args(["-c", convert])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python of PyPI's programs: run scripts/test");
    python.stdin.take().unwrap().write_all(yaml).unwrap();
    serde_json::from_slice(&python.wait_with_output().unwrap().stdout).unwrap()
}

fn seconds(duration: &Value) -> u64 {
    let text = duration.as_str().unwrap();
    text.strip_suffix('s').unwrap_or_else(|| panic!("{text} is not in seconds")).parse().unwrap()
}

#[test]
fn the_dockerfile_copies_what_the_program_is_built_from() {
    let file = deploy("docker/Dockerfile");
    approved(of_pypi("hadolint").arg(&file));
    let text = fs::read_to_string(&file).unwrap();
    let copies = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copied: Vec<&str> = copies
        .filter(|arguments| !arguments.starts_with("--from"))
        .flat_map(|arguments| arguments.rsplit_once(' ').unwrap().0.split(' '))
        .collect();
    let ignored = fs::read_to_string(repository().join(".dockerignore")).unwrap();
    let sent: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix("!/")).collect();
    assert_eq!(sent.len(), copied.len(), "{sent:?} {copied:?}");

    let plain = tempfile::tempdir().unwrap();
    for path in &copied {
        assert!(sent.iter().any(|sent| Path::new(sent).starts_with(path)), "{path} is ignored");
        approved(Command::new("cp").args(["-r", path]).arg(plain.path()).current_dir(repository()));
    }
    // Cargo finds each manifest that it needs, and all of what the lock file names.
    let metadata = ["metadata", "--locked", "--offline", "--format-version", "1", "--quiet"];
    approved(Command::new("cargo").args(metadata).current_dir(plain.path()));
    let sources = sources(&repository().join("crates"));
    let included: Vec<PathBuf> = sources.iter().flat_map(|source| included(source)).collect();
    assert!(included.len() > 20, "{included:?}");
    for path in included {
        let is_copied = copied.iter().any(|copied| path.starts_with(repository().join(copied)));
        assert!(is_copied, "{} is not copied", path.display());
    }
}

/// The Rust files in the `src` of each crate.
fn sources(crates: &Path) -> Vec<PathBuf> {
    let found = approved(Command::new("find").arg(crates).args(["-path", "*/src/*.rs"]));
    found.lines().map(PathBuf::from).collect()
}

/// The files that a source includes as they are.
fn included(source: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(source).unwrap();
    let arguments = ["include_str!(", "include_bytes!("].map(|name| text.split(name).skip(1));
    let literal = |argument: &str| {
        argument.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)
    };
    let path = |name: String| source.parent().unwrap().join(name).canonicalize().unwrap();
    arguments.into_iter().flatten().filter_map(literal).map(path).collect()
}

/// The check as Docker would run it, of a service at another port.
#[test]
fn the_image_knows_whether_a_service_is_well() {
    let text = fs::read_to_string(deploy("docker/Dockerfile")).unwrap().replace("\\\n", "");
    let check = text.lines().find_map(|line| line.strip_prefix("HEALTHCHECK ")?.split_once("CMD "));
    let check: Vec<String> = serde_json::from_str(check.unwrap().1.trim()).unwrap();
    let site = Site::sqlite();
    let port = free_port();
    let mut auth = site.auth(&["--metrics-listen", &format!("127.0.0.1:{port}")]);
    let of_port = |argument: &String| argument.replace("9100", &port.to_string());
    let check: Vec<String> = check.iter().map(of_port).collect();
    approved(Command::new(&check[0]).args(&check[1..]));
    auth.program.stop();
    assert!(!run(Command::new(&check[0]).args(&check[1..])).status.success());
}

/// The compose file, in the form into which docker-compose brings it.
pub(crate) fn composed() -> Value {
    let file = deploy("compose/compose.yaml");
    let whole = approved(Command::new("docker-compose").arg("--file").arg(&file).arg("config"));
    documents(whole.as_bytes()).remove(0)
}

#[test]
fn the_composed_containers_are_hardened() {
    let composed = composed();
    let services = composed["services"].as_object().unwrap();
    let mut expected: Vec<String> =
        SERVICES.iter().flat_map(|name| [1, 2].map(|n| format!("{name}-{n}"))).collect();
    expected.extend(["nginx", "redis"].map(str::to_owned));
    expected.sort();
    assert_eq!(services.keys().cloned().collect::<Vec<_>>(), expected);
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        assert_eq!(service["security_opt"][0], "no-new-privileges:true", "{name}");
        assert!(service["pids_limit"].is_u64(), "{name}");
        let limits = &service["deploy"]["resources"]["limits"];
        assert!(limits["memory"].is_string() && limits["cpus"].is_number(), "{name}");
        assert!(service["stop_grace_period"].is_string(), "{name}");
        if !SERVICES.iter().any(|ours| name.starts_with(ours)) {
            assert!(service["user"].is_string() && service["healthcheck"].is_object(), "{name}");
            continue;
        }
        assert_eq!(name.split('-').next(), service["command"][0].as_str());
        let environment = service["environment"].as_object().unwrap();
        let drain = seconds(&environment["CHECKIN_DRAIN"]);
        assert!(seconds(&service["stop_grace_period"]) >= drain + 15, "{name}");
        let is_secret =
            |variable: &String| variable.contains("STORE") || variable.contains("SECRET");
        assert!(!environment.keys().any(is_secret), "{name}");
    }
}

#[test]
fn the_unit_is_hardened() {
    let unit = deploy("systemd/checkin@.service");
    let mut security = Command::new("systemd-analyze");
    approved(security.args(["security", "--offline=true", "--no-pager", EXPOSURE]).arg(&unit));
    let directory = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(&unit).unwrap();
    let program = env!("CARGO_BIN_EXE_checkin");
    let text_here = text.replace("/usr/local/bin/checkin", program);
    assert_ne!(text, text_here);
    fs::write(directory.path().join("checkin@.service"), text_here).unwrap();
    for service in SERVICES {
        let unit = directory.path().join(format!("checkin@{service}.service"));
        let verified = run(Command::new("systemd-analyze").arg("verify").arg(unit));
        // A key that it does not know is a warning to it.
        assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
    }
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.split_once(key).map(|(_, value)| value));
        line.unwrap_or_else(|| panic!("no {key}"))
    };
    let drain = seconds(&Value::from(value("CHECKIN_DRAIN=")));
    assert!(value("TimeoutStopSec=").parse::<u64>().unwrap() >= drain + 15);
}

#[test]
fn every_variable_in_the_files_is_a_setting() {
    let help = approved(Command::new(env!("CARGO_BIN_EXE_checkin")).args(["auth", "--help"]));
    let files = [
        "docker/Dockerfile",
        "compose/compose.yaml",
        "systemd/checkin@.service",
        "kubernetes/settings.yaml",
    ];
    for file in files {
        let text = fs::read_to_string(deploy(file)).unwrap();
        let names = text.match_indices("CHECKIN_").filter_map(|(at, _)| {
            let end = text[at..].find(|c: char| !(c.is_ascii_uppercase() || c == '_'))?;
            let is_set = text[at + end..].starts_with([':', '=']);
            is_set.then_some(&text[at..at + end])
        });
        let names: Vec<&str> = names.collect();
        assert!(!names.is_empty(), "{file}");
        // What the build takes is none.
        for name in names.into_iter().filter(|name| !text.contains(&format!("\nARG {name}\n"))) {
            let is_setting = ["=", "]"].map(|end| help.contains(&format!("[env: {name}{end}")));
            assert!(is_setting.contains(&true), "{file}: {name} is not a setting");
        }
    }
}

/// The manifests by kind and name.
fn manifests() -> BTreeMap<(String, String), Value> {
    let mut manifests = BTreeMap::new();
    for entry in fs::read_dir(deploy("kubernetes")).unwrap() {
        for document in documents(&fs::read(entry.unwrap().path()).unwrap()) {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let name = (text(&document["kind"]), text(&document["metadata"]["name"]));
            assert!(manifests.insert(name, document).is_none());
        }
    }
    manifests
}

#[test]
fn kubernetes_knows_every_field_of_the_manifests() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(deploy("kubernetes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for version in KUBERNETES {
        let mut validate = of_pypi("kubernetes-validate");
        let checked = run(validate.args(["--strict", "-k", version]).args(&files));
        let said =
            String::from_utf8_lossy(&checked.stdout) + String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{said}");
        assert_eq!(said.matches(" passed ").count(), manifests().len(), "{said}");
    }
}

#[test]
fn the_manifests_fit_together() {
    let manifests = manifests();
    let named = |kind: &str, name: &str| &manifests[&(kind.to_owned(), name.to_owned())];
    let settings = named("ConfigMap", "checkin")["data"].as_object().unwrap();
    let drain = seconds(&settings["CHECKIN_DRAIN"]);
    let mut pods = BTreeSet::new();
    for service in SERVICES {
        let name = format!("checkin-{service}");
        let template = &named("Deployment", &name)["spec"]["template"];
        let selector = &named("Deployment", &name)["spec"]["selector"]["matchLabels"];
        assert_eq!(selector, &template["metadata"]["labels"]);
        assert_eq!(
            &named("PodDisruptionBudget", &name)["spec"]["selector"]["matchLabels"],
            selector
        );
        let pod = &template["spec"];
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= drain + 15);
        let container = &pod["containers"][0];
        assert_eq!(container["args"], serde_json::json!([service]));
        let replicas = &named("Deployment", &name)["spec"]["replicas"];
        match manifests.get(&("HorizontalPodAutoscaler".to_owned(), name.clone())) {
            Some(scaler) => assert!(replicas.is_null() && scaler["spec"]["minReplicas"] == 2),
            None => assert_eq!(replicas, 2),
        }
        if service != "processor" {
            assert_eq!(&named("Service", &name)["spec"]["selector"], selector);
        }
        // But for the service, all of them are the same, and have the hardening that is looked at here.
        let mut like_others = pod.clone();
        like_others["containers"][0]["args"].take();
        if service == "processor" {
            let http = serde_json::json!({"name": "http", "containerPort": 8080});
            like_others["containers"][0]["ports"].as_array_mut().unwrap().insert(0, http);
        }
        let component = format!("\"{service}\"");
        pods.insert(like_others.to_string().replace(&component, "COMPONENT"));
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["enableServiceLinks"], false);
        let container = &container["securityContext"];
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["capabilities"]["drop"][0], "ALL");
    }
    assert_eq!(pods.len(), 1, "{pods:?}");
    let is_secret = |name: &String| name.contains("STORE") || name.contains("SECRET");
    assert!(!settings.keys().any(is_secret));
}

/// The rules of the Ingress: paths, whether each is a prefix, and services.
#[derive(Debug)]
pub(crate) struct Ingress(Vec<(String, bool, String)>);

impl Ingress {
    pub(crate) fn read() -> Ingress {
        let ingress = documents(&fs::read(deploy("kubernetes/ingress.yaml")).unwrap()).remove(0);
        let rules = ingress["spec"]["rules"][0]["http"]["paths"].as_array().unwrap();
        let rule = |rule: &Value| {
            let service = rule["backend"]["service"]["name"].as_str().unwrap();
            let service = service.strip_prefix("checkin-").unwrap().to_owned();
            (rule["path"].as_str().unwrap().to_owned(), rule["pathType"] == "Prefix", service)
        };
        Ingress(rules.iter().map(rule).collect())
    }

    /// The service that a path leads to: that of the longest rule that fits.
    pub(crate) fn service(&self, path: &str) -> Option<&str> {
        let fits = |(start, is_prefix, _): &&(String, bool, String)| match path.strip_prefix(start)
        {
            Some("") => true,
            Some(rest) => *is_prefix && rest.starts_with('/'),
            None => false,
        };
        let longest = self.0.iter().filter(fits).max_by_key(|(start, _, _)| start.len());
        longest.map(|(_, _, service)| service.as_str())
    }
}
