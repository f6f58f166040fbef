use std::sync::Arc;

use super::*;
use crate::supervisor::executor::{Executor, Running, Start};

#[derive(Debug)]
struct Nothing;

impl Executor for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn check(&self, service: &Service) -> Result<()> {
        if service.id == "refused" { Err(Error::Unsupported("by the executor".into())) } else { Ok(()) }
    }

    fn start(&self, _: Start<'_>) -> Result<Box<dyn Running>> {
        Err(Error::Failed("nothing is run".into()))
    }
}

fn service(id: &str) -> Service {
    Service::new(id, Arc::new(Nothing))
}

/// Refused, by an error with these words.
#[track_caller]
fn refused(service: Service, words: &[&str]) {
    match service.check() {
        Err(Error::Invalid(text)) => {
            for word in words.iter().chain(&["service", "llowed"]) {
                assert!(text.contains(word), "{text:?} lacks {word:?}");
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sup_start_map() {
    let plain = service("a");
    plain.check().unwrap();
    assert_eq!((plain.restart, plain.significant, plain.ready), (Restart::Permanent, false, Ready::AtOnce));
    let options = SupervisorOptions::default();
    options.check("s").unwrap();
    assert_eq!((options.intensity, options.period), (Some(1), Duration::from_secs(5)));
    assert_eq!(options.auto_shutdown, AutoShutdown::Never);
    assert!(matches!(service("refused").check(), Err(Error::Unsupported(_))));
}

#[test]
fn sup_start_map_faulty_specs() {
    refused(service(""), &["\"\"", "empty"]);
    for id in ["a/b", "/", "a\0b", "a\n", "\u{7f}"] {
        refused(service(id), &[&format!("{id:?}")]);
        assert!(SupervisorOptions::default().check(id).is_err());
    }
    service("ä b.c-1:2").check().unwrap();
    let valid = Backoff {
        delay: Duration::from_secs(1),
        growth: Growth::Linear,
        cap: Duration::from_secs(1),
        jitter: 1.0,
        calm: Duration::ZERO,
        burst: 0,
    };
    let a = || service("a");
    Service { backoff: Some(valid), park: true, park_at_start: true, ..a() }.check().unwrap();
    refused(Service { significant: true, ..a() }, &["\"a\"", "significant", "permanent"]);
    refused(Service { ready: Ready::Notify(Duration::ZERO), ..a() }, &["\"a\"", "ready within 0 s"]);
    refused(Service { watchdog: Some(Duration::ZERO), ..a() }, &["\"a\"", "watchdog of 0 s"]);
    refused(Service { park: true, restart: Restart::Temporary, ..a() }, &["\"a\"", "temporary"]);
    refused(Service { park_at_start: true, ..a() }, &["\"a\"", "park_at_start without park"]);
    refused(Service { backoff: Some(valid), restart: Restart::Temporary, ..a() }, &["\"a\"", "temporary"]);
    for code in [-1, 256, i32::MIN, i32::MAX] {
        refused(Service { normal_exits: vec![0, 255, code], ..a() }, &["\"a\"", &code.to_string(), "0 to 255"]);
    }
    for jitter in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let backoff = Some(Backoff { jitter, ..valid });
        refused(Service { backoff, ..a() }, &["\"a\"", &jitter.to_string(), "0.0 to 1.0"]);
    }
    let backoff = Some(Backoff { cap: Duration::from_millis(999), ..valid });
    refused(Service { backoff, ..a() }, &["\"a\"", "999ms", "1s"]);
    let backoff = Some(Backoff { delay: Duration::ZERO, ..valid });
    refused(Service { backoff, ..a() }, &["\"a\"", "linear"]);
    let none = Backoff { delay: Duration::ZERO, cap: Duration::ZERO, growth: Growth::Fixed, ..valid };
    Service { backoff: Some(none), ..a() }.check().unwrap();
    refused(Service { backoff: Some(none), park: true, ..a() }, &["\"a\"", "park", "cap is 0 s"]);
}

#[test]
fn sup_flags() {
    let options = SupervisorOptions { period: Duration::ZERO, ..Default::default() };
    assert!(options.check("s").unwrap_err().to_string().contains("supervisor \"s\": period of 0 s"));
    let options = SupervisorOptions { significant: true, ..Default::default() };
    assert!(options.check("s").unwrap_err().to_string().contains("permanent"));
    for restart in [Restart::Transient, Restart::Temporary] {
        SupervisorOptions { significant: true, restart, ..Default::default() }.check("s").unwrap();
        Service { significant: true, restart, ..service("a") }.check().unwrap();
    }
    let never = SupervisorOptions::default();
    never.check_child("a", false).unwrap();
    let error = never.check_child("a", true).unwrap_err().to_string();
    assert!(error.contains("service \"a\": significant") && error.contains("any_significant"), "{error}");
    for auto_shutdown in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        SupervisorOptions { auto_shutdown, ..Default::default() }.check_child("a", true).unwrap();
    }
}
