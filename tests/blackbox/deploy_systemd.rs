//! `deploy/systemd`: the messages between systemd and the program, on real sockets, and the results of systemd's own
//! tools for the units.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    client::PATIENCE,
    program::{Files, REPOSITORY, Running, Served, program},
    real_parts::{left_out, need},
};

const SERVICE: &str = include_str!("../../deploy/systemd/zec-gateway.service");

/// The program's notifications, up to a given one.
fn told(socket: &UnixDatagram, last: &str) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut buffer = [0; 512];
    while told.last().is_none_or(|one| one != last) {
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            // A signal to this process, for example that a child has ended, is no answer.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => panic!("{error} after {told:?}"),
        };
        told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    told
}

fn files() -> Files {
    Files::new("https://console.zenlayer.com")
}

#[test]
fn systemd_hears_that_the_gateway_is_ready_lives_and_stops() {
    let files = files();
    let path = files.directory.path().join("notify");
    let name = format!("zec-gateway-test-{}", std::process::id());
    let abstracted = SocketAddr::from_abstract_name(&name).unwrap();
    for (socket, name) in [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixDatagram::bind_addr(&abstracted).unwrap(), format!("@{name}")),
    ] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = files.serve("warn");
        command.env("NOTIFY_SOCKET", name).env("WATCHDOG_USEC", "200000");
        let mut gateway = Running::start(command);
        assert_eq!(told(&socket, "READY=1"), ["READY=1"]);
        assert_eq!(told(&socket, "WATCHDOG=1"), ["WATCHDOG=1"]);
        assert_eq!(told(&socket, "WATCHDOG=1"), ["WATCHDOG=1"]);
        gateway.signal("-TERM");
        assert!(gateway.child.wait().unwrap().success());
        told(&socket, "STOPPING=1");
    }
}

#[test]
fn systemd_hears_how_a_reload_goes_and_the_command_of_the_unit_fails_where_it_did() {
    let files = files();
    let (directory, path) = (files.directory.path(), files.directory.path().join("notify"));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = files.serve("info");
    command.env("NOTIFY_SOCKET", &path);
    let mut served = Served::spawn(command);
    told(&socket, "READY=1");
    // The port is random here, so only the log has the address of the operators' port.
    let admin = served.admin().to_string();
    let [first, line] = values("ExecReload").try_into().unwrap();
    assert_eq!(first, "/bin/true", "or credentials are not read anew");
    let line = line.strip_prefix("/usr/bin/zec-gateway ").unwrap();
    let line = line
        .replace("/etc/zec-gateway", directory.to_str().unwrap())
        .replace("$MAINPID", &served.child.id().to_string());
    let reload = || {
        let mut command = program(&line.split(' ').collect::<Vec<_>>(), directory);
        let done = command.env("ZEC_GATEWAY__ADMIN__LISTEN", &admin).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    assert_eq!(reload(), (Some(0), String::new()));
    let began = rustix_monotonic();
    let said = told(&socket, "READY=1\nSTATUS=serving");
    let micros = said[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&said[0]);
    let at: u64 = micros.parse().unwrap();
    assert!(at > 0 && at <= began, "{at} is after {began}");
    assert_eq!(said.len(), 2, "{said:?}");

    fs::write(directory.join("jwks.json"), "{").unwrap();
    let (code, said) = reload();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("reload of keys of corp: failing since "), "{said}");
    told(&socket, "READY=1\nSTATUS=serving; not reloaded: keys of corp");
    served.stop();
    let (code, said) = reload();
    assert!(code == Some(1) && said.contains("does not answer on"), "{said}");
}

/// Microseconds of the clock that systemd uses.
fn rustix_monotonic() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    // The clock is read afterwards, to a hundredth of a second. It includes time in which the machine was suspended;
    // the program's does not.
    std::time::Duration::from_secs_f64(seconds + 1.0).as_micros().try_into().unwrap()
}

#[test]
fn health_asks_the_operators_port() {
    let files = files();
    let directory = files.directory.path();
    let mut served = Served::start(&files, "info");
    let admin = served.admin();
    let config = files.config();
    let ask = |more: &[&str], listen: &str| {
        let args = [&["health", "--config", config.to_str().unwrap()], more].concat();
        let mut command = program(&args, directory);
        let done = command.env("ZEC_GATEWAY__ADMIN__LISTEN", listen).output().unwrap();
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(text).unwrap())
    };
    assert_eq!(ask(&[], &admin.to_string()), (Some(0), "alive\n".to_owned()));
    // `0.0.0.0` is reachable here too.
    let everywhere = format!("0.0.0.0:{}", admin.port());
    assert_eq!(ask(&["--ready"], &everywhere), (Some(0), "ready\n".to_owned()));
    // Without keys, no caller can be authenticated.
    fs::write(directory.join("jwks.json"), "{\"keys\":[]}").unwrap();
    assert!(
        Command::new("kill")
            .args(["-HUP", &served.child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    served.until("every token of this issuer is refused");
    let (code, said) = ask(&["--ready"], &admin.to_string());
    assert_eq!((code, said.as_str()), (Some(1), "not ready: see /readyz?verbose\n"));
    assert_eq!(ask(&[], &admin.to_string()).0, Some(0));
    served.stop();
    let (code, said) = ask(&[], &admin.to_string());
    assert!(code == Some(1) && said.contains("does not answer on"), "{said}");
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let files = files();
    let path = files.directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = files.serve("warn");
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000").env("WATCHDOG_PID", "1");
    let mut gateway = Running::start(command);
    assert_eq!(told(&socket, "READY=1"), ["READY=1"]);
    gateway.signal("-TERM");
    assert!(gateway.child.wait().unwrap().success());
    assert_eq!(told(&socket, "STOPPING=1"), ["STOPPING=1"]);
}

#[test]
fn a_notify_socket_that_nobody_reads_does_not_keep_the_gateway_from_serving() {
    let files = files();
    let mut command = files.serve("info");
    command.env("NOTIFY_SOCKET", files.directory.path().join("nowhere"));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let said = until(&mut child, "\"serving\"");
    assert!(said.contains("NOTIFY_SOCKET cannot be used"), "{said}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Reads a child's stderr up to a text.
fn until(child: &mut Child, text: &str) -> String {
    let (mut log, mut said) = (BufReader::new(child.stderr.take().unwrap()), String::new());
    while !said.contains(text) && log.read_line(&mut said).unwrap() > 0 {}
    assert!(said.contains(text), "{said}");
    said
}

/// A command as systemd would start it, with these sockets from descriptor 3 on.
fn with_sockets(command: &Command, sockets: [OwnedFd; 2], names: &[&str]) -> Command {
    let [first, second] = sockets;
    let script = "exec 3<&0 4<&1 5<&0 0</dev/null 1>&2; export LISTEN_FDS=$1 LISTEN_FDNAMES=$2 LISTEN_PID=$$; shift 2; exec \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", &names.len().to_string(), &names.join(":")]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::from(first)).stdout(Stdio::from(second)).stderr(Stdio::piped());
    shell
}

#[test]
fn a_caller_who_connects_before_the_gateway_runs_is_served_on_the_socket_of_systemd() {
    let files = files();
    let [public, admin] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let asked = [(&public, "/whoami", "401"), (&admin, "/livez", "200")];
    let mut early = asked.map(|(listener, path, status)| {
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let close = "Connection: close\r\n\r\n";
        write!(stream, "GET {path} HTTP/1.1\r\nHost: gateway\r\n{close}").unwrap();
        (stream, status)
    });
    // systemd passes them in any order.
    let sockets = [&admin, &public].map(|listener| listener.try_clone().unwrap().into());
    let names = ["operators", "callers"];
    let mut child = with_sockets(&files.serve("info"), sockets, &names).spawn().unwrap();
    let said = until(&mut child, "\"serving\"");
    for listener in [&public, &admin] {
        let address = listener.local_addr().unwrap().to_string();
        assert!(said.contains(&address), "{address} is not served: {said}");
    }
    for (stream, status) in &mut early {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn sockets_of_systemd_that_strangers_reach_are_warned_of() {
    let files = files();
    let sockets = [(); 2].map(|()| TcpListener::bind("0.0.0.0:0").unwrap().into());
    let names = ["callers", "operators"];
    let mut child = with_sockets(&files.serve("info"), sockets, &names).spawn().unwrap();
    let said = until(&mut child, "metrics and probes need no token");
    assert!(said.contains("plain HTTP exposes every token on the network"), "{said}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_socket_of_systemd_that_strangers_reach_takes_no_access_keys() {
    let files = files();
    let at = |name: &str| files.directory.path().join(name);
    std::fs::write(at("access-keys.toml"), "").unwrap();
    std::fs::write(at("master"), "0123456789abcdef0123456789abcdef").unwrap();
    let text = std::fs::read_to_string(files.config()).unwrap();
    std::fs::write(files.config(), format!("{text}{}", crate::issued_keys::CONFIGURED)).unwrap();
    let sockets = [(); 2].map(|()| TcpListener::bind("0.0.0.0:0").unwrap().into());
    let names = ["callers", "operators"];
    let done = with_sockets(&files.serve("info"), sockets, &names).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("auth.access_keys: access keys need TLS"), "{said}");
    let local = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().into());
    let mut child = with_sockets(&files.serve("info"), local, &names).spawn().unwrap();
    until(&mut child, "\"serving\"");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_is_handed_over_and_is_no_listening_socket_is_refused() {
    let files = files();
    let pair = UnixDatagram::pair().unwrap();
    let sockets = [pair.0.into(), pair.1.into()];
    let done = with_sockets(&files.serve("info"), sockets, &["callers"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("socket 0 of LISTEN_FDS cannot be used"), "{said}");
}

#[test]
fn a_socket_without_a_known_name_is_refused() {
    for names in [&["zec-gateway.socket"][..], &["callers", "metrics"], &[""]] {
        let files = files();
        let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().into());
        let done = with_sockets(&files.serve("info"), sockets, names).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("its purpose is not known"), "{said}");
        assert!(said.contains("FileDescriptorName=operators"), "{said}");
    }
}

/// Whether a listener answers `GET /metrics`, as only the operators' does.
fn shows_metrics(address: std::net::SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.contains("zec_gateway_")
}

#[test]
fn several_sockets_of_one_port_are_all_served_and_never_become_the_other_port() {
    let files = files();
    let [one, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let sockets = [&one, &other].map(|listener| listener.try_clone().unwrap().into());
    let names = ["callers", "callers"];
    let mut child = with_sockets(&files.serve("info"), sockets, &names).spawn().unwrap();
    until(&mut child, "\"serving\"");
    for listener in [&one, &other] {
        assert!(!shows_metrics(listener.local_addr().unwrap()), "metrics on the callers' port");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_unix_socket_of_systemd_is_served() {
    let files = files();
    let path = files.directory.path().join("callers.sock");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let names = ["callers", "operators"];
    let mut child =
        with_sockets(&files.serve("info"), [unix.into(), admin.into()], &names).spawn().unwrap();
    until(&mut child, "\"serving\"");
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    write!(stream, "GET /whoami HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Sends requests on a kept connection until `stop` is set, and returns the number of answers. Fails if a connection is
/// cut.
fn keep_asking(address: std::net::SocketAddr, stop: &std::sync::atomic::AtomicBool) -> usize {
    let (mut kept, mut answered) = (None, 0);
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let mut stream: TcpStream = kept.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        });
        write!(stream, "GET /problems/internal HTTP/1.1\r\nHost: gateway\r\n\r\n").unwrap();
        let mut reader = BufReader::new(&mut stream);
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "cut off after {answered} answers");
            head += &line.to_ascii_lowercase();
        }
        // At the very end of the old process, the answer "I am stopping" is accepted too; it is not a cut.
        let stopping = head.starts_with("http/1.1 503 ") && head.contains("retry-after: ");
        assert!(head.starts_with("http/1.1 200 ") || stopping, "{head}");
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        answered += 1;
        if !head.contains("connection: close") {
            kept = Some(stream);
        }
        // The pause of a client that does other work too.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    answered
}

#[test]
fn no_kept_connection_is_cut_over_a_restart_with_the_socket_of_systemd() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    let files = files();
    let text = fs::read_to_string(files.config()).unwrap();
    let delay = values("Environment").into_iter().find(|one| one.contains("DRAIN_DELAY"));
    let (_, delay) = delay.expect("the unit's delay").split_once('=').unwrap();
    fs::write(
        files.config(),
        text.replacen("[server]", &format!("[server]\ndrain_delay = \"{delay}\""), 1),
    )
    .unwrap();
    let [public, admin] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let start = || {
        let sockets = [&public, &admin].map(|listener| listener.try_clone().unwrap().into());
        let mut child =
            with_sockets(&files.serve("info"), sockets, &["callers", "operators"]).spawn().unwrap();
        until(&mut child, "\"serving\"");
        child
    };
    let mut running = start();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = public.local_addr().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| answered.fetch_add(keep_asking(address, &stop), Ordering::Relaxed));
        }
        for _ in 0..2 {
            std::thread::sleep(std::time::Duration::from_millis(300));
            let pid = running.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
            assert!(running.wait().unwrap().success());
            running = start();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(answered.load(Ordering::Relaxed) > 100, "{answered:?}");
    running.kill().unwrap();
    running.wait().unwrap();
}

/// The values of a key in the unit.
fn values(key: &str) -> Vec<&'static str> {
    let lines = SERVICE.lines();
    lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_units_command_serves_with_its_environment() {
    let files = files();
    let (directory, socket) = (files.directory.path(), files.directory.path().join("notify"));
    let text = fs::read_to_string(files.config()).unwrap();
    // As in the unit, only the environment names the key.
    let text: Vec<_> = text.lines().filter(|line| !line.starts_with("access_key_")).collect();
    fs::write(files.config(), text.join("\n")).unwrap();
    for (credential, file) in values("LoadCredential").into_iter().zip(["ak", "sk"]) {
        let name = credential.split(':').next().unwrap();
        fs::rename(directory.join(file), directory.join(name)).unwrap();
    }
    for state in values("StateDirectory").concat().split(' ') {
        fs::create_dir(directory.join(state)).unwrap();
    }
    let notify = UnixDatagram::bind(&socket).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let line = values("ExecStart").concat();
    let line = line.strip_prefix("/usr/bin/zec-gateway ").unwrap();
    let line = line.replace("/etc/zec-gateway", directory.to_str().unwrap());
    let mut command = program(&line.split(' ').collect::<Vec<_>>(), directory);
    for variable in values("Environment") {
        let (name, value) = variable.split_once('=').unwrap();
        let place = directory.to_str().unwrap();
        command.env(name, value.replace("%d", place).replace("%S", place));
    }
    assert_eq!(values("Type"), ["notify"]);
    command.env("NOTIFY_SOCKET", &socket);
    let _gateway = Running::start(command);
    told(&notify, "READY=1");
    assert!(directory.join("zec-gateway/journal.db").exists());
}

#[test]
fn systemd_finds_no_fault_with_the_units_and_little_exposure() {
    if left_out("systemd") {
        return;
    }
    let analyze = need(Path::new("/usr/bin/systemd-analyze"));
    let units = tempfile::tempdir().unwrap();
    // The program is not installed here, so its path is replaced; the tools judge the unit, not the program.
    let service = SERVICE.replace("/usr/bin/zec-gateway", env!("CARGO_BIN_EXE_zec-gateway"));
    fs::write(units.path().join("zec-gateway.service"), service).unwrap();
    let socket = Path::new(REPOSITORY).join("deploy/systemd/zec-gateway.socket");
    fs::copy(socket, units.path().join("zec-gateway.socket")).unwrap();
    for args in [
        ["verify", "--man=no", "zec-gateway.service", "zec-gateway.socket"].as_slice(),
        // The threshold is the exposure score times ten.
        &["security", "--offline=true", "--threshold=20", "zec-gateway.service"],
    ] {
        let done = Command::new(analyze).args(args).current_dir(units.path()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{args:?}: {said}");
        // systemd only warns of a misspelt key.
        let complaints = String::from_utf8_lossy(&done.stderr).into_owned();
        let ours: Vec<_> = complaints.lines().filter(|line| line.contains("zec-gateway")).collect();
        assert!(ours.is_empty(), "{args:?}: {ours:?}");
    }
}
