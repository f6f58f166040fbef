//! What a child is given, and what is refused.

use nix::sys::signal::SigSet;

use super::*;
use crate::{CpuSet, cpu};

#[test]
fn a_program_runs_with_its_arguments() {
    assert_eq!(line(Command::new("printf").args(["%s-%s", "a b", ""])), "a b-");
    assert_eq!(line(Command::from_argv(["printf", "%s", "x"])), "x");
    assert_eq!(line(shell("echo $0").arg("zero")), "zero");
    let shown = "tr '\\0' ' ' </proc/$$/cmdline";
    assert_eq!(line(shell(shown).arg0("another")), format!("another -c {shown} "));
}

#[test]
fn what_cannot_be_run_names_path_and_reason() {
    let scratch = Scratch::new("cannot-run");
    let text = scratch.file("text", "echo no\n", 0o755);
    let closed = scratch.file("closed", "#!/bin/sh\n", 0o644);
    let script = scratch.file("script", "#!/no/such/interpreter -x\n", 0o755);
    let missing = scratch.0.join("missing");
    for (path, why, errno) in [
        (&missing, "", libc::ENOENT),
        (&scratch.0, " (it is a directory)", libc::EACCES),
        (&closed, "", libc::EACCES),
        (&text, " (it is neither a program of this machine nor a script that begins with #!)", libc::ENOEXEC),
        (&script, " (its interpreter is /no/such/interpreter)", libc::ENOENT),
    ] {
        let error = refused(Command::new(path));
        assert_eq!(error, Error::Os { context: format!("exec {}{why}", path.display()), errno });
    }
    let context = format!("change to the directory {}", missing.display());
    assert_eq!(refused(shell("true").directory(&missing)), Error::Os { context, errno: libc::ENOENT });
    let named = refused(Command::new("closed").env("PATH", &scratch.0)).to_string();
    assert!(named.starts_with("find program \"closed\" in PATH \"/") && named.contains("(errno 13)"), "{named}");
    let named = refused(Command::new("no-such-program").env("PATH", "/bin")).to_string();
    assert!(named.starts_with("find program \"no-such-program\" in PATH \"/bin\": No such file"), "{named}");
}

#[test]
fn what_no_system_could_run_is_refused_by_name() {
    let fd = || Descriptor::from(pipe().1);
    let long = "n".repeat(256);
    for (command, text) in [
        (
            Command::from_argv([""; 0]),
            "the program is \"\": a command needs a program's name or path as its first word",
        ),
        (Command::new("a\0b"), "the program \"a\\0b\" contains a NUL byte"),
        (shell("x").arg("a\0"), "argument 3 \"a\\0\" contains a NUL byte"),
        (shell("x").arg0("a\0"), "arg0 \"a\\0\" contains a NUL byte"),
        (shell("x").directory(""), "the directory is \"\": it must be a path"),
        (shell("x").directory("a\0"), "the directory \"a\\0\" contains a NUL byte"),
        (shell("x").env("", "x"), "a variable of the environment has the name \"\": it must not be empty"),
        (shell("x").env("A=B", "x"), "the environment variable \"A=B\" contains a '=': only its value may"),
        (shell("x").env_remove("A\0"), "the environment variable \"A\\0\" contains a NUL byte"),
        (
            shell("x").env("A", "\0"),
            "the environment variable \"A\" has a value that is refused: \"\\0\" contains a NUL byte",
        ),
        (shell("x").nice(20), "nice 20: allowed are -20 to 19"),
        (shell("x").nice(i32::MIN), "nice -2147483648: allowed are -20 to 19"),
        (shell("x").umask(0o1000), "umask 0o1000: allowed are 0o0 to 0o777"),
        (shell("x").uid(u32::MAX), "uid 4294967295: allowed are 0 to 4294967294"),
        (shell("x").gid(u32::MAX), "gid 4294967295: allowed are 0 to 4294967294"),
        (shell("x").groups([1, u32::MAX]), "group 4294967295: allowed are 0 to 4294967294"),
        (shell("x").groups(0..65_537), "65537 supplementary groups: allowed are up to 65536"),
        (shell("x").cpus(CpuSet::EMPTY), "the set of CPUs is empty: a process needs at least one"),
        (shell("x").stop_signal(0), "stop signal 0: allowed are 1 to 64"),
        (shell("x").stop_signal(65), "stop signal 65: allowed are 1 to 64"),
        (
            shell("x").limit(Resource::Files, None, Some(7)),
            "the soft limit of \"nofile\" is unlimited: allowed is up to its hard limit, 7",
        ),
        (
            shell("x").limit(Resource::Core, Some(1), None).limit(Resource::Core, Some(1), None),
            "the limit of \"core\" is given twice: allowed is once",
        ),
        (shell("x").descriptor(-1, fd()), "descriptor number -1: allowed are numbers from 0"),
        (
            shell("x").descriptor(7, fd()).descriptor(7, fd()),
            "two descriptors for number 7: allowed is one (sockets to serve have the numbers from 3)",
        ),
        (
            shell("x").descriptor(3, fd()).listen("web", fd()),
            "two descriptors for number 3: allowed is one (sockets to serve have the numbers from 3)",
        ),
        (
            shell("x").listen("a:b", fd()),
            "the socket name \"a:b\" is refused: allowed are up to 255 printable ASCII characters without ':' and spaces",
        ),
    ] {
        assert_eq!(refused(command), Error::Invalid(text.into()));
    }
    assert!(refused(shell("x").listen(long, fd())).to_string().contains("up to 255"));
    let many = Process { output: Output { tail: 10_001, ..Output::default() }, ..Process::new(shell("true")) };
    assert_eq!(ended(&many).unwrap_err(), Error::Invalid("10001 last lines: allowed are up to 10000".into()));
}

#[test]
fn a_description_is_a_value() {
    let fd = Descriptor::from(pipe().1);
    let command = || shell("x").env("A", "b").descriptor(5, fd.clone()).limit(Resource::Stack, None, None);
    assert_eq!(command(), command().clone());
    assert_ne!(command(), command().env("A", "c"));
    assert_ne!(command(), command().descriptor(6, fd.clone()));
    assert!(format!("{:?}", command()).contains("\"A\": Some(\"b\")"));
    assert_eq!(Resource::ALL.len(), 16);
}

#[test]
fn its_environment_is_what_was_said() {
    let cleared = lines(Command::new("env").env_clear().env("A", "b=c").env("PATH", "/usr/bin:/bin"));
    assert_eq!(cleared, ["A=b=c", "PATH=/usr/bin:/bin"]);
    let inherited = lines(Command::new("env").env("COOP_TEST_A", "1").env_remove("PATH"));
    assert!(inherited.contains(&"COOP_TEST_A=1".into()) && !inherited.iter().any(|line| line.starts_with("PATH=")));
    // What a service manager has told this process is not for its children; what a command says is.
    assert_eq!(play("its-managers-words"), "NOTIFY_SOCKET=@asked-for LISTEN_FDNAMES= WATCHDOG_USEC=");
}

#[test]
fn a_program_is_looked_for_in_the_childs_path_from_the_childs_directory() {
    let scratch = Scratch::new("path");
    fs::create_dir(scratch.0.join("bin")).unwrap();
    scratch.file("bin/tool", "#!/bin/sh\necho from bin\n", 0o755);
    scratch.file("tool", "#!/bin/sh\necho from here\n", 0o755);
    let tool = |path: &str| line(Command::new("tool").directory(&scratch.0).env("PATH", path));
    assert_eq!(tool("/no/such/directory:bin"), "from bin");
    assert_eq!(tool(":bin"), "from here");
    assert_eq!(line(Command::new("./bin/tool").directory(&scratch.0)), "from bin");
    // A directory of that name, and a file without permission, are passed over.
    fs::create_dir(scratch.0.join("sh")).unwrap();
    scratch.file("bin/sh", "", 0o644);
    let path = format!("{0}:{0}/bin:/bin", scratch.0.display());
    assert_eq!(line(Command::new("sh").args(["-c", "echo found"]).env("PATH", path)), "found");
}

#[test]
fn directory_umask_niceness_and_limits_are_its_own() {
    let scratch = Scratch::new("own");
    let where_it_is = fs::canonicalize(&scratch.0).unwrap();
    assert_eq!(Path::new(&line(shell("pwd").directory(&scratch.0))), where_it_is);
    assert_eq!(line(shell("umask").umask(0o27)), "0027");
    let nice = |text: String| text.split(' ').nth(18).unwrap().to_owned();
    assert_eq!(nice(line(shell("cat /proc/$$/stat").nice(7))), "7");
    let limited = shell("ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -t");
    let limited = limited.limit(Resource::Files, Some(50), Some(60)).limit(Resource::Core, Some(0), Some(0));
    assert_eq!(lines(limited.limit(Resource::Cpu, Some(5000), Some(5000))), ["50", "60", "0", "5000"]);
    let more_than_all = shell("true").limit(Resource::Files, None, None);
    let refused = refused(more_than_all).to_string();
    assert!(refused.starts_with("limit \"nofile\" of a child to None of None: "), "{refused}");
}

#[test]
fn it_runs_as_another_user() {
    if rustix::process::geteuid().is_root() {
        let ids = "id -u; id -g; id -G; grep -E '^(Uid|Gid):' /proc/self/status | tr '\\t' ' '";
        let given = lines(shell(ids).uid(1234).gid(2345).groups([2345, 77]));
        assert_eq!(given, ["1234", "2345", "2345 77", "Uid: 1234 1234 1234 1234", "Gid: 2345 2345 2345 2345"]);
        // Without a word about them, this process's groups are not for another user.
        assert_eq!(line(shell("grep Groups: /proc/self/status | tr -d '\\t '").uid(1234).gid(2345)), "Groups:");
        // A directory that it may enter as root only is changed to before; what it may not run is refused after.
        let scratch = Scratch::new("closed");
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(line(shell("id -u").uid(1234).directory(&scratch.0)), "1234");
        let own = scratch.file("own", "#!/bin/sh\n", 0o700);
        let context = format!("exec {}", own.display());
        assert_eq!(refused(Command::new(&own).uid(1234)), Error::Os { context, errno: libc::EACCES });
    } else {
        let context = "run a child as user 0".to_owned();
        assert_eq!(refused(shell("true").uid(0)), Error::Os { context, errno: libc::EPERM });
    }
}

#[test]
fn descriptors_arrive_in_any_order_and_no_others() {
    let scratch = Scratch::new("descriptors");
    let open = |name: &str| -> Descriptor {
        OwnedFd::from(File::open(scratch.file(name, &format!("{name}\n"), 0o644)).unwrap()).into()
    };
    let (a, b, c) = (open("a"), open("b"), open("c"));
    let number = |descriptor: &Descriptor| std::os::fd::AsRawFd::as_raw_fd(&descriptor.as_fd());
    // Each takes the place of another: a cycle, and one that stays where it is.
    let (to_a, to_b) = (number(&b), number(&a));
    // A shell's redirections know one digit only.
    let read = |numbers: [i32; 3]| Command::new("cat").args(numbers.map(|number| format!("/proc/self/fd/{number}")));
    let crossed = read([to_a, to_b, number(&c)]);
    let crossed = crossed.descriptor(to_a, a.clone()).descriptor(to_b, b.clone()).descriptor(number(&c), c.clone());
    assert_eq!(lines(crossed), ["a", "b", "c"]);
    let ring = read([number(&b), number(&c), number(&a)]);
    let (d, e, f) = (open("d"), open("e"), open("f"));
    let ring =
        ring.descriptor(number(&b), d.clone()).descriptor(number(&c), e.clone()).descriptor(number(&a), f.clone());
    assert_eq!(
        lines(ring.descriptor(number(&d), a).descriptor(number(&e), b).descriptor(number(&f), c)),
        ["d", "e", "f"]
    );
    // Input is null unless given.
    assert_eq!(line(shell("readlink /proc/self/fd/0")), "/dev/null");
    assert_eq!(line(shell("cat").descriptor(0, open("input"))), "input");
    // One that was left open on exec, as careless libraries do, is not inherited. `ls` has opened the directory.
    let careless = rustix::io::dup(pipe().1).unwrap();
    assert_eq!(
        lines(Command::new("ls").args(["/proc/self/fd"]).descriptor(9, open("nine"))),
        ["0", "1", "2", "3", "9"]
    );
    drop(careless);
    let too_high = refused(shell("true").descriptor(i32::MAX, open("high"))).to_string();
    assert!(too_high.starts_with("give a child descriptor ") && too_high.contains(&i32::MAX.to_string()), "{too_high}");
}

#[test]
fn sockets_to_serve_are_told_as_systemd_tells_them() {
    let bind = || -> OwnedFd { std::net::TcpListener::bind("127.0.0.1:0").unwrap().into() };
    let script = "[ $LISTEN_PID = $$ ] && echo mine; echo $LISTEN_FDS $LISTEN_FDNAMES; readlink /proc/$$/fd/3 /proc/$$/fd/4 | cut -c1-7";
    let serving = shell(script).listen("web", bind()).listen("admin", bind());
    assert_eq!(lines(serving), ["mine", "2 web:admin", "socket:", "socket:"]);
    assert_eq!(
        line(role("listen").listen("web", bind()).listen("", bind())).split_once(RESULT).unwrap().1,
        "web=3,=4\nlast"
    );
}

#[test]
fn it_leads_a_group_and_if_asked_a_session() {
    let ids = |stat: &str| -> Vec<i32> {
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let pid = stat.split(' ').next().unwrap();
        [pid, fields[2], fields[3]].iter().map(|number| number.parse().unwrap()).collect()
    };
    // Not asked of getsid(): the leader may be outside of this pid namespace, where the session is 0, which is no pid.
    let [_, _, own_session] = ids(&fs::read_to_string("/proc/self/stat").unwrap())[..] else { unreachable!("three") };
    let [pid, group, session] = ids(&line(shell("cat /proc/$$/stat")))[..] else { unreachable!("three") };
    assert_eq!((group, session), (pid, own_session));
    let [pid, group, session] = ids(&line(shell("cat /proc/$$/stat").new_session()))[..] else { unreachable!("three") };
    assert_eq!((group, session), (pid, pid));
}

#[test]
fn signals_and_cpus_are_those_of_a_new_process() {
    // From a thread like a worker: one CPU, every signal blocked. Rust's programs ignore SIGPIPE.
    let status = std::thread::spawn(|| {
        let usable = cpu::usable();
        SigSet::all().thread_set_mask().unwrap();
        let blocked = SigSet::thread_get_mask().unwrap();
        cpu::pin_current_thread(cpu::placement(0)).unwrap();
        let shown = lines(Command::new("cat").arg("/proc/self/status"));
        assert_eq!(SigSet::thread_get_mask().unwrap(), blocked, "the caller's mask is its own again");
        (shown, usable)
    });
    let (shown, usable) = status.join().unwrap();
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(shown.contains(&format!("{field}:\t0000000000000000")), "{field}: {shown:?}");
    }
    let mask = shown.iter().find_map(|line| line.strip_prefix("Cpus_allowed:\t")).unwrap();
    let words: Vec<u64> = mask.split(',').rev().map(|word| u64::from_str_radix(word, 16).unwrap()).collect();
    let words: Vec<u64> = words.chunks(2).map(|pair| pair[0] | pair.get(1).unwrap_or(&0) << 32).collect();
    assert_eq!(CpuSet::from_words(&words).unwrap(), usable);
    // As asked.
    let one = CpuSet::new([cpu::placement(0)]).unwrap();
    let list = line(Command::new("grep").args(["Cpus_allowed_list", "/proc/self/status"]).cpus(one));
    assert_eq!(list, format!("Cpus_allowed_list:\t{}", cpu::placement(0)));
    let absent = CpuSet::new([(0..CpuSet::MAX).rev().find(|cpu| !cpu::usable().contains(*cpu)).unwrap()]).unwrap();
    let context = format!("give a child the CPUs {absent}");
    assert_eq!(refused(shell("true").cpus(absent)), Error::Os { context, errno: libc::EINVAL });
}

#[test]
fn a_thousand_children_leave_nothing() {
    assert_eq!(play("a-thousand"), "nothing is left");
    assert_eq!(play("a-hundred-without-pidfds"), "nothing is left");
}
