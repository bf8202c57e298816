//! What a prober asks, what it starts for that, and what is left of it: against listeners of our own, with programs of
//! our own.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use pretty_assertions::assert_eq;
use regex::Regex;

use fleetdeploy::local::process::Invocation;

use crate::{A, Host, shells};

const PROBER: [&str; 4] = ["lib.sh", "wireguard.sh", "probes.sh", "probe.sh"];

const WIREGUARD: &str = r"
    printf 'wg0\tPRIVATE\tPUBLIC\t51820\toff\n'
    printf 'wg0\tPEER2\tSHARED\t198.51.100.7:51820\t10.100.0.0/24,fd00::/64\t%s\t1\t2\t25\n' $(($(date +%s) - 20))
    printf 'wg0\tPEER1\t(none)\t(none)\t10.100.0.9/32\t0\t0\t0\toff\n'
    printf 'wg[1]\tPRIVATE\tPUBLIC\t51821\t0x1\n'";

/// By sha256sum, of the sorted lines `PRIVATE 51820 off`, `PEER2 SHARED 10.100.0.0/24,fd00::/64 25` and
/// `PEER1 (none) 10.100.0.9/32 off`; and of `PRIVATE 51821 0x1`.
const SETTINGS: &str = "ce4f7229eeeb279e0cc1e1f3cc47d7a14d3e5aca0a65816e9814617f830bf108";
const OTHER_SETTINGS: &str = "e18210306ce6ee980f61a58e11293194b9c5af86f07db0ed5361a42df1e27d5c";

/// A port of this machine where each connection is given to a function, until the test's process ends.
fn listen(serve: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(connection));
        }
    });
    port
}

fn greet(mut connection: TcpStream) {
    let _ = connection.write_all(b"SSH-2.0-OpenSSH_10.0\r\n");
}

/// Holds the connection and never says a word.
fn hold(connection: TcpStream) {
    std::mem::forget(connection);
}

/// A host where addresses answer a ping as they are named here: `up`, `gone`, `mute` (for ever) and, after half a
/// second, `slow`.
async fn probed() -> Host {
    let host = Host::with(None).await;
    host.program(
        "ping",
        r#"for address; do :; done
        reply="64 bytes from $address: icmp_seq=1 ttl=64 time=0.045 ms"
        case $address in
        up | 127.0.0.1) echo "$reply" ;;
        gone) echo "From 10.0.0.1 icmp_seq=1 Destination Host Unreachable"; exit 1 ;;
        slow) sleep 0.5; echo "$reply" ;;
        *) : >"$FLEETDEPLOY_ROOT/asked"; exec sleep 100 ;;
        esac"#,
    );
    host.program("systemctl", r"printf 'Id=a.service\nActiveState=failed\nSubState=failed\nInvocationID=1a\n'");
    host.program("wg", WIREGUARD);
    for (name, index) in [("wg0", 7), ("wg[1]", 8)] {
        host.write(&format!("sys/class/net/{name}/ifindex"), format!("{index}\n"));
    }
    host
}

/// `main` with a life of 60 s, these probes and these lines to read, as shell words.
fn prober(probes: &[(&str, u64, &[&str])], input: &str) -> String {
    let quoted = |argument: &&str| format!(" '{argument}'");
    let words = probes.iter().enumerate().map(|(id, (kind, timeout, arguments))| {
        let own: String = arguments.iter().map(quoted).collect();
        format!(" probe {id} {kind} {timeout} {}{own}", arguments.len())
    });
    let words = ["main 60".to_owned()].into_iter().chain(words).collect::<String>();
    format!("{words} <<'X'\n{input}\nX\n")
}

/// The processes that were started for a host, by what they were given as its root; but this one.
fn left_of(host: &Host) -> Vec<String> {
    let mark = format!("FLEETDEPLOY_ROOT={}", host.path("").display());
    let mark = mark.trim_end_matches('/');
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    processes
        .filter(|process| {
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        })
        .map(|process| {
            String::from_utf8_lossy(&std::fs::read(process.join("cmdline")).unwrap_or_default()).into_owned()
        })
        .collect()
}

async fn assert_nothing_is_left_of(host: &Host, shell: &str) {
    let names = || -> BTreeSet<_> {
        std::fs::read_dir(host.path("run")).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let expected: BTreeSet<_> = ["booted-system", "current-system"].map(Into::into).into();
    // What was killed is there until it has been its turn; and one that begins a program just then has no environment
    // to be known by.
    for _ in 0..250 {
        if left_of(host).is_empty() && names() == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(left_of(host), Vec::<String>::new(), "{shell}");
    assert_eq!(names(), expected, "{shell}");
}

#[tokio::test]
async fn each_kind_of_probe_says_what_it_heard_and_is_down_where_it_heard_nothing() {
    let host = probed().await;
    let ports = [
        listen(greet),
        listen(|mut connection| {
            let _ = connection.write_all(b"Not allowed at this time\r\n");
        }),
        listen(drop),
        listen(hold),
        listen(|mut connection| while connection.write_all(&[b'a'; 4096]).is_ok() {}),
    ];
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let [ssh, refusing, closing, silent, endless] = ports.map(|port| port.to_string());
    let probes: &[(&str, u64, &[&str])] = &[
        ("ping", 5000, &["up"]),
        ("ping", 5000, &["gone"]),
        ("ping", 400, &["mute"]),
        ("ping", 5000, &["-f"]),
        ("ssh", 5000, &["127.0.0.1", &ssh]),
        ("tcp", 5000, &["127.0.0.1", &ssh]),
        ("ssh", 5000, &["127.0.0.1", &refusing]),
        ("ssh", 5000, &["127.0.0.1", &closing]),
        ("ssh", 400, &["127.0.0.1", &silent]),
        ("ssh", 5000, &["127.0.0.1", &endless]),
        ("tcp", 5000, &["127.0.0.1", &closed]),
        ("tcp", 5000, &["127.0.0.1", "x"]),
        ("wireguard", 5000, &["10.100.0.1", "300"]),
        ("wireguard", 5000, &["10.100.0.9", "300"]),
        ("wireguard", 5000, &["fd00::7", "5"]),
        ("wireguard", 5000, &["10.9.9.9", "300"]),
        ("argv", 5000, &["printf", "%s\\n", "a  b\\c"]),
        ("shell", 5000, &["printf \"one\\ntwo\\033[31m\\n\"; exit 5"]),
        ("shell", 400, &["sleep 100 & exec sleep 100"]),
        ("shell", 5000, &["head -c 100000 /dev/zero | tr \"\\0\" x"]),
        ("strange", 5000, &["x"]),
    ];
    let long = "x".repeat(300);
    let times = Regex::new(r"(?m)^(probe \d+ \d+ up) [1-9]\d*").unwrap();
    let ages = Regex::new(r"\b2\d( s| 25 )").unwrap();
    // What the far end of the endless one says is cut somewhere.
    let cut = Regex::new("a{250,}").unwrap();
    for shell in shells() {
        let finished = host.run(shell, &PROBER, &prober(probes, "round 1\nround 2")).await;
        assert_eq!(finished.stderr_text(), "", "{shell}");
        let text = finished.stdout_text();
        let text = cut.replace_all(&text, "aa");
        let text = ages.replace_all(&text, "2x$1");
        // A ping's time is its own, to the microsecond.
        let text = text.replace("up 45 ", "up PING ");
        let text = times.replace_all(&text, "$1 TIME");
        let of = |round: u32| -> Vec<&str> {
            let mark = format!("probe {round} ");
            text.lines().filter_map(|line| line.strip_prefix(mark.as_str())).collect()
        };
        let mut expected = vec![
            "0 up PING ".to_owned(),
            "1 down - From 10.0.0.1 icmp_seq=1 Destination Host Unreachable".to_owned(),
            "2 silent - no answer in 0.400 s".to_owned(),
            "3 down - that is no address".to_owned(),
            "4 up TIME SSH-2.0-OpenSSH_10.0".to_owned(),
            "5 up TIME cached SSH-2.0-OpenSSH_10.0".to_owned(),
            "6 busy - its sshd lets nobody in from here just now: Not allowed at this time".to_owned(),
            "7 down - closed without a greeting: ".to_owned(),
            "8 silent - no answer in 0.400 s".to_owned(),
            "9 down - closed without a greeting: aa".to_owned(),
            "10 down - Connection refused".to_owned(),
            "11 down - that is no port".to_owned(),
            "12 up - handshake 2x s ago on wg0".to_owned(),
            "13 down - no handshake yet on wg0".to_owned(),
            "14 down - the handshake on wg0 is 2x s old".to_owned(),
            "15 down - no WireGuard peer here has this address".to_owned(),
            "16 up - a  b\\\\c".to_owned(),
            "17 down - status 5: two[31m".to_owned(),
            "18 silent - status 124: no answer in 0.400 s".to_owned(),
            format!("19 up - {long}"),
            "20 down - this host does not know the probe strange".to_owned(),
        ];
        assert_eq!(of(1), expected, "{shell}");
        // The clock stands still there: nobody may be asked for a connection again.
        for (id, line) in expected.iter_mut().enumerate().filter(|(id, _)| (4..=10).contains(id)) {
            *line = format!("{id} later - its machine was asked a moment ago");
        }
        assert_eq!(of(2), expected, "{shell}");
        let others: Vec<&str> =
            text.lines().filter(|line| !line.starts_with("probe ") && !line.starts_with("control ")).take(9).collect();
        assert_eq!(
            others,
            [
                "host 1 boot_id 5f1c6b4e-8a43-4b0e-9c9f-0e3f5a1d2b7c",
                &format!("host 1 current {A}"),
                "host 1 failed_unit a.service",
                "host 1 unit_now a.service 1a failed =",
                "host 1 uptime 1000",
                &format!("wg_interface wg0 7 {SETTINGS} 51820"),
                &format!("wg_interface wg[1] 8 {OTHER_SETTINGS} 51821"),
                "wg_peer wg0 PEER2 198.51.100.7:51820 2x 25 10.100.0.0/24,fd00::/64",
                "wg_peer wg0 PEER1 - - - 10.100.0.9/32",
            ],
            "{shell}"
        );
        assert!(text.ends_with("done 2\nend\n"), "{shell}: {text}");
        assert_nothing_is_left_of(&host, shell).await;
    }
}

/// Both lie in the host's memory, and a page or a program may have any size.
#[tokio::test]
async fn of_a_body_and_of_what_a_command_prints_only_so_much_is_kept() {
    let host = probed().await;
    let page = listen(|mut connection| {
        let _ = connection.read(&mut [0; 4096]);
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\nwanted");
        let _ = connection.write_all(&vec![b'a'; 8_000_000 - 6]);
    });
    let url = format!("http://127.0.0.1:{page}/");
    // What lies there while they are under way is the last that one of them prints.
    let prints =
        "head -c 4000000 /dev/zero; sleep 1; echo; cat $FLEETDEPLOY_ROOT/run/fleetdeploy-probe.*/out.* | wc -c";
    let probes: &[(&str, u64, &[&str])] = &[
        ("shell", 20_000, &[prints]),
        ("http", 20_000, &[&url, "200", "wanted"]),
        ("http", 20_000, &[&url, "200", "b"]),
        // Its child has left its group, and holds what it prints to for as long as the probe may take.
        ("shell", 1000, &["setsid sleep 3 & echo told; exit 3"]),
    ];
    let up = Regex::new(r"^1 up \d+ status 200$").unwrap();
    for shell in shells() {
        let finished = host.run(shell, &PROBER, &prober(probes, "round 1")).await;
        assert_eq!(finished.stderr_text(), "", "{shell}");
        let text = finished.stdout_text();
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("probe 1 ")).collect();
        let kept: u64 = lines[0].strip_prefix("0 up - ").unwrap().trim().parse().unwrap();
        assert!(up.is_match(lines[1]), "{shell}: {lines:?}");
        assert_eq!(lines[2], "2 down - status 200, but the body has no b in it", "{shell}");
        assert!((2_000_000..5_000_000).contains(&kept), "{shell}: {kept}");
        assert!(lines[3].starts_with("3 down - status 3: "), "{shell}: {lines:?}");
    }
}

/// A greeting with something in it that a terminal would act on goes another way than one without.
#[tokio::test]
async fn no_greeting_comes_into_the_line_of_another_link() {
    let host = probed().await;
    let ports: Vec<String> = (0..10)
        .map(|_| {
            let port = listen(|mut connection| {
                let _ = connection.write_all(b"SSH-2.0-\x1b[31mx probe 1 1 up 7 forged\x01\r\n");
            });
            port.to_string()
        })
        .collect();
    let arguments: Vec<[&str; 2]> = ports.iter().map(|port| ["127.0.0.1", port.as_str()]).collect();
    let probes: Vec<(&str, u64, &[&str])> =
        arguments.iter().flat_map(|ssh| [("ssh", 5000, &ssh[..]), ("ping", 5000, &["gone"])]).collect();
    let time = Regex::new(r" up \d+ ").unwrap();
    for shell in shells() {
        let text = host.run(shell, &PROBER, &prober(&probes, "round 1")).await.stdout_text();
        let lines: Vec<String> = text
            .lines()
            .filter(|line| line.contains("probe"))
            .map(|line| time.replace(line, " up T ").into_owned())
            .collect();
        let expected: Vec<String> = (0..10)
            .flat_map(|pair| {
                let ssh = format!("probe 1 {} up T SSH-2.0-[31mx probe 1 1 up 7 forged", 2 * pair);
                let ping = 2 * pair + 1;
                [ssh, format!("probe 1 {ping} down - From 10.0.0.1 icmp_seq=1 Destination Host Unreachable")]
            })
            .collect();
        assert_eq!(lines, expected, "{shell}");
    }
}

/// A busy host is waited for no longer in the middle of a line: the rest of it is no other line.
#[tokio::test]
async fn a_line_that_is_waited_for_no_longer_goes_on_where_it_was_cut() {
    let host = probed().await;
    let words = r#"
        begun=() batch_ids=('1 2') batch_at=() batch_rests=() kinds=('' ssh ssh) times=('' 5000 5000)
        exec {fd}< <(printf 'begins 1\nconn'; sleep 0.5; printf 'ected 1 42\ngreeting 1 SSH-2.0'; sleep 0.5; echo)
        batch_children=("$!") batch_fds=("$fd")
        for time in 25 50 200; do
            read_now
            hear_batch 0 "$((now + time))" || echo open
            echo "${#heard[@]} ${stands[1]} ${connects[1]-} ${greetings[1]-} ${errors[1]-}"
        done"#;
    for shell in shells() {
        let text = host.run(shell, &PROBER, words).await.stdout_text();
        let expected = "open\n1 begun   \nopen\n1 begun 42  \n1 begun 42 =SSH-2.0 \n";
        assert_eq!(text, expected, "{shell}");
    }
}

/// One that gets on needs no process for each of its connections, and one that stands still holds up no other.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "an sshd that is slow is part of the test's world")]
async fn connections_that_are_slow_and_get_on_share_a_process() {
    let host = probed().await;
    let ports: Vec<String> = (0..6)
        .map(|_| {
            let port = listen(|mut connection| {
                std::thread::sleep(Duration::from_millis(150));
                let _ = connection.write_all(b"SSH-2.0-OpenSSH_10.0\r\n");
            });
            port.to_string()
        })
        .collect();
    let arguments: Vec<[&str; 2]> = ports.iter().map(|port| ["127.0.0.1", port.as_str()]).collect();
    let probes: Vec<(&str, u64, &[&str])> = arguments.iter().map(|ssh| ("ssh", 5000, &ssh[..])).collect();
    let told = r#"eval "begin_each_batch() $(declare -f begin_batch | tail -n +2)"
        begin_batch() { echo batch; begin_each_batch "$@"; }"#;
    for shell in shells() {
        let words = format!("{told}\n{}", prober(&probes, "round 1"));
        let mut text = String::new();
        // A machine that has no half second for it looks like one that stands still.
        for _ in 0..5 {
            text = host.run(shell, &PROBER, &words).await.stdout_text();
            assert_eq!(text.matches(" up ").count(), 6, "{shell}: {text}");
            if text.matches("batch\n").count() == 1 {
                break;
            }
        }
        assert_eq!(text.matches("batch\n").count(), 1, "{shell}: {text}");
    }
}

/// How many processes a shell and all that it starts have begun. A PID namespace of its own counts them.
async fn started(host: &Host, words: &str) -> (u64, String) {
    let text: String = ["lib.sh", "traces.sh", "wireguard.sh", "probes.sh", "probe.sh"]
        .iter()
        .map(|file| std::fs::read_to_string(crate::scripts().join(file)).unwrap())
        .collect();
    let is_sent = |line: &&str| !line.trim_start().starts_with('#');
    let text: String = text.lines().filter(is_sent).flat_map(|line| [line, "\n"]).collect();
    let counted = "bash -c 'eval \"$1\"' test \"$1\"; read -r load </proc/loadavg; echo \"last ${load##* }\"";
    let finished = Invocation::new("unshare", Duration::from_secs(60))
        .args(["-rpf", "--mount-proc", "sh", "-c", counted, "test"])
        .arg(format!("{text}\n{words}"))
        .env("FLEETDEPLOY_ROOT", host.path(""))
        .env("PATH", format!("{}:{}", host.path("fake").display(), std::env::var("PATH").unwrap()))
        .run()
        .await
        .unwrap();
    let text = finished.stdout_text();
    let last = text.lines().last().and_then(|line| line.strip_prefix("last ")).map(str::parse);
    (last.unwrap_or_else(|| panic!("{text}{}", finished.stderr_text())).unwrap(), text)
}

/// What a host starts each second of a push must be few: it is what answers the others, too.
#[tokio::test]
async fn a_round_costs_a_process_for_a_ping_and_one_for_two_dozen_connections_and_a_few_beside_them() {
    let host = probed().await;
    host.program("ping", "echo 'time=1.5 ms'");
    host.program("wg", "exit 0");
    let ports: Vec<String> = (0..24).map(|_| listen(greet).to_string()).collect();
    let arguments: Vec<[&str; 2]> = ports.iter().map(|port| ["127.0.0.1", port.as_str()]).collect();
    for links in [7, 24] {
        let probes: Vec<(&str, u64, &[&str])> =
            arguments[..links].iter().flat_map(|ssh| [("ssh", 5000, &ssh[..]), ("ping", 5000, &["up"])]).collect();
        let (idle, _) = started(&host, &prober(&probes, "stop")).await;
        let (all, text) = started(&host, &prober(&probes, "round 1")).await;
        assert_eq!(text.lines().filter(|line| line.contains(" up ")).count(), probes.len(), "{text}");
        let bound = (links + links.div_ceil(24) + BESIDE) as u64;
        assert!(all - idle <= bound, "{} processes for {} links", all - idle, probes.len());
    }
}

/// There is nothing that such a host could have failed to hear.
#[tokio::test]
async fn a_round_that_asks_no_link_has_no_control() {
    let host = probed().await;
    host.program("ping", "echo asked >>\"$FLEETDEPLOY_ROOT/asked\"");
    for (probes, controls) in [(&[][..], 0), (&[("ping", 500, &["up"][..])][..], 1)] {
        let text = host.run("bash", &PROBER, &prober(probes, "round 1\nround 2 9")).await.stdout_text();
        assert_eq!(text.lines().filter(|line| line.starts_with("done ")).count(), 2, "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("control ")).count(), controls, "{text}");
        assert_eq!(host.path("asked").exists(), controls > 0, "{text}");
    }
}

/// Where nothing changes nobody reads them, and they are the most that a look costs.
#[tokio::test]
async fn a_round_of_links_alone_asks_for_no_unit() {
    let host = probed().await;
    host.program(
        "systemctl",
        r#"echo asked >>"$FLEETDEPLOY_ROOT/asked"
        printf 'Id=a.service\nActiveState=failed\nSubState=failed\nInvocationID=1a\n'"#,
    );
    for (input, units) in [("links 1 0", 0), ("round 1 0", 1), ("round 1\nlinks 2", 1), ("links 1\nround 2", 1)] {
        let _ = std::fs::remove_file(host.path("asked"));
        let text = host.run("bash", &PROBER, &prober(&[("ping", 500, &["up"])], input)).await.stdout_text();
        let lines = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        assert_eq!((lines(" up "), lines("done ")), (input.lines().count(), input.lines().count()), "{text}");
        assert_eq!((lines(" uptime "), lines(" failed_unit a.service")), (input.lines().count(), units), "{text}");
        let asked = std::fs::read_to_string(host.path("asked")).unwrap_or_default();
        assert_eq!(asked.lines().count() > 0, units > 0, "{input}: {text}");
    }
}

/// What a round starts beside its links: for the units, the systems and the tunnels of the host, and for its control.
const BESIDE: usize = 10;

/// One after the other they would take a minute and a half.
#[tokio::test]
async fn connections_that_are_dropped_hold_up_no_other_and_all_of_them_for_one_time() {
    let host = probed().await;
    let ports: Vec<String> = (0..60).map(|at| listen(if at % 2 == 0 { greet } else { hold }).to_string()).collect();
    let arguments: Vec<[&str; 2]> = ports.iter().map(|port| ["127.0.0.1", port.as_str()]).collect();
    let probes: Vec<(&str, u64, &[&str])> = arguments.iter().map(|ssh| ("ssh", 3000, &ssh[..])).collect();
    let began = std::time::Instant::now();
    let text = host.run("bash", &PROBER, &prober(&probes, "round 1")).await.stdout_text();
    let took = began.elapsed();
    let of = |mark: &str| text.lines().filter(|line| line.contains(mark)).count();
    assert_eq!((of(" up "), of(" silent - no answer in 3.000 s")), (30, 30), "{text}");
    assert!(took < Duration::from_secs(9), "{took:?}");
}

/// Two addresses of a host lead to one sshd, which punishes the source of both.
#[tokio::test]
async fn two_addresses_of_one_host_are_asked_one_after_the_other() {
    let host = probed().await;
    let port = listen(greet).to_string();
    let [outer, inner]: [&[&str]; 2] = [&["127.0.0.1", &port, "vps"], &["127.0.0.2", &port, "vps"]];
    let again = "round 2\nround 3 1";
    let probes: [(&str, u64, &[&str]); 2] = [("ssh", 3000, outer), ("ssh", 3000, inner)];
    let text = host.run("bash", &PROBER, &prober(&probes, &format!("round 1\n{again}"))).await.stdout_text();
    let time = Regex::new(r" up \d+ ").unwrap();
    let lines: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("probe "))
        .map(|line| time.replace(line, " up T ").into_owned())
        .collect();
    assert_eq!(
        lines,
        [
            "probe 1 0 up T SSH-2.0-OpenSSH_10.0",
            "probe 1 1 later - its machine was asked a moment ago",
            // The clock stands still there.
            "probe 2 0 later - its machine was asked a moment ago",
            "probe 2 1 later - its machine was asked a moment ago",
            // A round may ask for some of them alone.
            "probe 3 1 later - its machine was asked a moment ago",
        ]
    );
}

#[tokio::test]
async fn wireguard_s_settings_are_hashed_again_only_when_they_are_others() {
    let host = probed().await;
    host.program("sha256sum", "echo hashed >>\"$FLEETDEPLOY_ROOT/started\"\nexec /usr/bin/sha256sum \"$@\"");
    let ask = r#"
        rm -f "$root/started"
        print_wireguard a >/dev/null; print_wireguard a >/dev/null; print_wireguard a | sed 's/ 2[0-9] 25 / 2x 25 /'
        cat "$root/started""#;
    assert_eq!(
        host.says(&["lib.sh", "wireguard.sh"], ask).await,
        format!(
            "a_interface wg0 7 {SETTINGS} 51820\na_interface wg[1] 8 {OTHER_SETTINGS} 51821\n\
             a_peer wg0 PEER2 198.51.100.7:51820 2x 25 10.100.0.0/24,fd00::/64\na_peer wg0 PEER1 - - - 10.100.0.9/32\n\
             hashed\nhashed\n"
        )
    );
}

#[tokio::test]
async fn a_prober_that_is_ended_in_the_middle_of_a_round_leaves_nothing() {
    let host = probed().await;
    let silent = listen(hold).to_string();
    let probes: &[(&str, u64, &[&str])] = &[
        ("ping", 50_000, &["mute"]),
        ("ssh", 40_000, &["127.0.0.1", &silent]),
        ("shell", 50_000, &["sleep 100 & exec sleep 100"]),
        ("argv", 50_000, &["sleep", "100"]),
    ];
    for shell in shells() {
        for signal in ["TERM", "HUP"] {
            let words = format!(
                "(until [ -e \"$root/asked\" ]; do sleep 0.02; done; kill -s {signal} $$) &\n{}",
                prober(probes, "round 1")
            );
            let text = host.run(shell, &PROBER, &words).await.stdout_text();
            assert!(!text.contains("probe "), "{shell}, {signal}: {text}");
            std::fs::remove_file(host.path("asked")).unwrap();
            assert_eq!(text.ends_with("end\n"), signal == "TERM", "{shell}: {text}");
            assert_nothing_is_left_of(&host, shell).await;
        }
    }
}

/// What was not heard by a host that does not hear itself in time says nothing about a link.
#[tokio::test]
async fn each_round_tells_how_long_the_host_s_own_control_took() {
    let host = probed().await;
    let took = |text: &str| -> Vec<Option<u64>> {
        let line = text.lines().find_map(|line| line.strip_prefix("control 1 ")).unwrap();
        line.split(' ').map(|word| word.parse().ok()).collect()
    };
    let probes: [(&str, u64, &[&str]); 1] = [("ping", 4000, &["up"])];
    let text = host.run("bash", &PROBER, &prober(&probes, "round 1")).await.stdout_text();
    let is_soon = |took: Option<u64>| took.is_some_and(|took| took <= 2000);
    let [ready, longest, pinged] = took(&text)[..] else { panic!("{text}") };
    assert!(is_soon(ready) && is_soon(pinged) && longest == Some(4000), "{text}");
    // One that has less time than a ping waits for, too.
    for (timeout, slow) in [(4000, "sleep 2.5"), (1000, "sleep 1.5; exit 1"), (4000, "exit 1")] {
        host.program("ping", &format!("case $* in *127.0.0.1*) {slow} ;; esac\necho '64 bytes: time=0.045 ms'"));
        let probes: [(&str, u64, &[&str]); 1] = [("ping", timeout, &["up"])];
        let text = host.run("bash", &PROBER, &prober(&probes, "round 1")).await.stdout_text();
        let [ready, longest, pinged] = took(&text)[..] else { panic!("{text}") };
        assert!(is_soon(ready) && (longest, pinged) == (Some(timeout), None), "{text}");
    }
}
