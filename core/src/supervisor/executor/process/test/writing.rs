//! What children write, and sinks that are slow, or gone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::supervisor::executor::process::output::LINE;

fn to(stdout: Sink, stderr: Sink, script: &str) -> Process {
    Process { output: Output { stdout, stderr, tail: 5 }, ..Process::new(shell(script)) }
}

/// Its end; the thread of the sinks is this one's, whose end waits for what is queued, for a moment.
fn on_a_thread<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(test).join().unwrap()
}

#[test]
fn lines_come_with_their_stream_and_the_last_ones_with_the_end() {
    let (sink, kept) = keeping();
    let (how, tail, pid) = on_a_thread(move || {
        let script =
            "for i in 1 2 3 4 5; do echo $i; done; printf 'bad \\377 utf'; echo error >&2; echo more >&2; exit 2";
        let run = begin(&to(sink.clone(), sink, script)).unwrap();
        let (how, tail) = run.end();
        (how, tail, run.pid())
    });
    assert_eq!(how, Ended::Exited(2));
    // The last five of the eight, in the order in which they were read: of two pipes, that is not the one they were written in.
    assert_eq!(tail.len(), 5);
    assert!(tail.contains(&"more".into()) || tail.contains(&"bad \u{fffd} utf".into()), "{tail:?}");
    wait_until(|| kept.lock().unwrap().len() >= 8);
    let kept = kept.lock().unwrap();
    let of = |stream: Stream| {
        kept.iter().filter(|line| line.stream == stream).map(|line| line.text.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(Stream::Stdout), ["1", "2", "3", "4", "5", "bad \u{fffd} utf"]);
    assert_eq!(of(Stream::Stderr), ["error", "more"]);
    assert!(
        kept.iter()
            .all(|line| &*line.service == "tree/service" && line.pid == pid && line.dropped == 0 && !line.goes_on)
    );
}

#[test]
fn a_long_line_comes_in_parts() {
    let (sink, kept) = keeping();
    let script = "head -c 20000 /dev/zero | tr '\\0' x; echo; echo end";
    on_a_thread(move || ended(&to(sink, Sink::Null, script)).unwrap());
    wait_until(|| kept.lock().unwrap().len() >= 4);
    let parts: Vec<_> = kept.lock().unwrap().iter().map(|line| (line.text.len(), line.goes_on)).collect();
    assert_eq!(parts, [(LINE, true), (LINE, true), (20_000 - 2 * LINE, false), (3, false)]);
}

#[test]
fn a_sink_writes_with_a_prefix_or_as_json() {
    let written = |format: Format| {
        let (mut reader, writer) = pipe();
        let sink = Sink::Write { to: Some(writer.into()), format };
        let pid = on_a_thread(move || {
            let run = begin(&to(sink, Sink::Null, "echo one; echo 'tw\"o'")).unwrap();
            run.end();
            run.pid()
        });
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (text, pid)
    };
    assert_eq!(written(Format::Prefixed).0, "tree/service | one\ntree/service | tw\"o\n");
    let (text, pid) = written(Format::Json);
    let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |object: &serde_json::Value| {
        let mut object = object.clone();
        assert!(object["time"].take().as_str().is_some_and(|time| time.ends_with('Z')));
        object
    };
    let wanted = |text: &str| serde_json::json!({"time": null, "service": "tree/service", "pid": pid, "stream": "stdout", "line": text});
    assert_eq!(objects.iter().map(line).collect::<Vec<_>>(), [wanted("one"), wanted("tw\"o")]);
}

#[test]
fn inherited_output_is_not_captured() {
    let (mut reader, writer) = pipe();
    let inherits = Process {
        output: Output { stdout: Sink::Inherit, stderr: Sink::Inherit, tail: 5 },
        ..Process::new(shell("exec 8>&1; readlink /proc/$$/fd/8 >&9").descriptor(9, writer))
    };
    assert_eq!(ended(&inherits).unwrap(), (Ended::Exited(0), vec![]));
    let mut text = String::new();
    drop(inherits);
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(Path::new(text.trim_end()), fs::read_link("/proc/self/fd/1").unwrap());
}

#[test]
fn a_child_never_waits_for_a_slow_sink_and_what_it_loses_is_counted() {
    const LINES: u64 = 100_000;
    let (go_on, waits) = mpsc::channel::<()>();
    let (waits, begun) = (Mutex::new(waits), Arc::new(AtomicBool::new(false)));
    let (keep, kept) = keeping();
    let Sink::Lines(keep) = keep else { unreachable!("a callback") };
    let begins = begun.clone();
    let slow: OnLine = Arc::new(move |line: &Line| {
        if !begins.swap(true, Ordering::SeqCst) {
            // Until the child has ended.
            let _ = waits.lock().unwrap().recv();
        }
        keep(line);
    });
    on_a_thread(move || {
        let script = format!("i=0; while [ $i -lt {LINES} ]; do echo $i; i=$((i+1)); done");
        let (how, tail) = ended(&to(Sink::Lines(slow), Sink::Null, &script)).unwrap();
        assert_eq!(how, Ended::Exited(0));
        assert_eq!(tail.last(), Some(&(LINES - 1).to_string()));
        assert!(begun.load(Ordering::SeqCst));
        drop(go_on);
    });
    let count = |line: &Line| line.dropped.max(1);
    wait_until(|| kept.lock().unwrap().iter().map(count).sum::<u64>() >= LINES);
    let kept = kept.lock().unwrap();
    let (told, lost): (Vec<_>, Vec<_>) = kept.iter().partition(|line| line.dropped == 0);
    let dropped: u64 = lost.iter().map(|line| line.dropped).sum();
    assert_eq!(told.len() as u64 + dropped, LINES);
    assert!(dropped > 0);
    for line in lost {
        assert_eq!(line.text, format!("… {} lines dropped", line.dropped));
    }
    let numbers: Vec<u64> = told.iter().map(|line| line.text.parse().unwrap()).collect();
    assert!(numbers.is_sorted(), "in their order");
}

#[test]
fn a_reader_that_is_gone_or_stuck_harms_nobody() {
    // Gone.
    let (reader, writer) = pipe();
    drop(reader);
    let sink = Sink::Write { to: Some(writer.into()), format: Format::Prefixed };
    let end = on_a_thread(move || ended(&to(sink, Sink::Null, "echo 1; echo 2")).unwrap());
    assert_eq!(end, (Ended::Exited(0), vec!["1".into(), "2".into()]));
    // Stuck: the end of the host waits for it for a moment, not for ever.
    let (reader, writer) = pipe();
    let sink = Sink::Write { to: Some(writer.into()), format: Format::Prefixed };
    let end = on_a_thread(move || ended(&to(sink, Sink::Null, "yes | head -n 100000")).unwrap());
    assert_eq!(end.0, Ended::Exited(0));
    drop(reader);
}

#[test]
fn who_keeps_the_pipe_open_keeps_nobody_waiting() {
    // In a session of its own it is not of the group any more.
    let scratch = Scratch::new("keeps");
    let script = "setsid sleep 1000 & echo $! >pid; echo before; exit 0";
    let end = ended(&to(Sink::Null, Sink::Null, &format!("cd {}; {script}", scratch.0.display()))).unwrap();
    assert_eq!(end, (Ended::Exited(0), vec!["before".into()]));
    let pid: i32 = fs::read_to_string(scratch.0.join("pid")).unwrap().trim().parse().unwrap();
    // It may not have left the group in time: then it was killed.
    let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL);
    wait_until(|| !is_alive(pid));
}

#[test]
fn a_panic_in_a_sink_ends_one_line() {
    let told = Arc::new(AtomicUsize::new(0));
    let counts = told.clone();
    let sink: OnLine = Arc::new(move |line: &Line| {
        assert_ne!(line.text, "2", "a planted panic");
        counts.fetch_add(1, Ordering::SeqCst);
    });
    on_a_thread(move || ended(&to(Sink::Lines(sink), Sink::Null, "echo 1; echo 2; echo 3")).unwrap());
    // Telling of the panic may take longer than the end of the thread's owner waits for what is queued.
    wait_until(|| told.load(Ordering::SeqCst) >= 2);
    assert_eq!(told.load(Ordering::SeqCst), 2);
}

#[test]
fn a_gigabyte_at_full_speed_leaves_the_loop_and_the_memory_alone() {
    let result = play("a-gigabyte");
    let [lines, posts, grown] = result.split(' ').map(|number| number.parse::<u64>().unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("{result}")
    };
    assert_eq!(lines, 1_000_000_000_u64.div_ceil(LINE as u64));
    assert!(posts > 100, "only {posts} posts ran meanwhile");
    // A sanitizer keeps 256 MiB of what was freed.
    assert!(grown < 320 * 1024, "{grown} KiB more");
}

/// In a process of its own, whose memory is this test's: lines told or dropped, posts meanwhile, KiB more.
pub(super) fn a_gigabyte() -> String {
    let count = Arc::new(AtomicUsize::new(0));
    let counts = count.clone();
    let sink: OnLine = Arc::new(move |line: &Line| {
        counts.fetch_add(if line.dropped > 0 { usize::try_from(line.dropped).unwrap() } else { 1 }, Ordering::SeqCst);
    });
    let resident = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        high.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = resident();
    let posts = on_a_thread(move || {
        let run = begin(&to(Sink::Lines(sink), Sink::Null, "exec head -c 1000000000 /dev/zero")).unwrap();
        let (posts, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let poster = {
            let (handle, posts, over) = (run.event_loop.handle(), posts.clone(), over.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let (sender, ran) = mpsc::channel();
                    handle.post(move || sender.send(()).unwrap()).unwrap();
                    if ran.recv_timeout(LONG).is_ok() {
                        posts.fetch_add(1, Ordering::SeqCst);
                    }
                    std::thread::sleep(Duration::from_micros(100));
                }
            })
        };
        let (how, _) = run.end();
        over.store(true, Ordering::SeqCst);
        run.until(|| poster.is_finished().then_some(()));
        poster.join().unwrap();
        assert_eq!(how, Ended::Exited(0));
        posts.load(Ordering::SeqCst)
    });
    format!("{} {posts} {}", count.load(Ordering::SeqCst), resident() - before)
}
