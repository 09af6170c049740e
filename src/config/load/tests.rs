//! Tests of load.

use super::*;

const EXAMPLE: &str = include_str!("../../../config.toml.example");

fn with(variables: &[(&str, &str)]) -> Result<Config> {
    let variables: Vec<_> = variables
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    Config::assemble("[log]\nlevel = \"warn\"\n", &variables)
}

fn refusal(text: &str) -> String {
    format!("{:#}", Config::assemble(text, &[]).unwrap_err())
}

#[test]
fn the_example_documents_every_key_with_its_default() {
    let defaults = Config::default().to_text().unwrap();
    assert_eq!(
        Config::assemble(EXAMPLE, &[]).unwrap().to_text().unwrap(),
        defaults
    );
    let example: Table = EXAMPLE.parse().unwrap();
    for (section, value) in defaults.parse::<Table>().unwrap() {
        let documented = example
            .get(&section)
            .unwrap_or_else(|| panic!("{section} is missing"));
        for (key, value) in value.as_table().into_iter().flatten() {
            assert_eq!(documented.get(key), Some(value), "{section}.{key}");
        }
    }
    assert!(EXAMPLE.contains("# default_quota = ") && EXAMPLE.contains("# trash_folder = "));
}

#[test]
fn mistakes_in_the_file_name_their_line() {
    assert!(refusal("[log]\nlevel = \"info\"\nlevle = 1\n").contains("line 3"));
    assert!(refusal("\n\n[server]\nkeep_alive = \"x\"\n").contains("line 4"));
    assert!(refusal("[nonsense]\n").contains("nonsense"));
    assert!(refusal("[log]\nlevel = \"loud\"").contains("log.level"));
    assert!(refusal("[server]\nheader_timeout = 0").contains("server.header_timeout"));
    assert!(
        refusal("[server]\nproxy_protocol = [\"10.0.0.1/8\"]").contains("write \"10.0.0.0/8\"")
    );
    assert!(refusal("[server]\nlisten = []").contains("server.listen"));
    assert!(refusal("[storage]\nallowed = [\"srv\"]").contains("storage.allowed"));
    assert!(refusal("[locks]\nmax_timeout = 9223372036854775807").contains("locks.max_timeout"));
    for name in [
        "",
        "a/b",
        "..",
        ".sarang",
        ".Sarang-x",
        ".hidden",
        "a ",
        "a\\u0007",
        "a\\u202Eb",
    ] {
        let sentence = refusal(&format!("[drive]\nteam_folder = \"{name}\""));
        assert!(
            sentence.contains("line 2") && sentence.to_lowercase().contains("name"),
            "{sentence}"
        );
    }
    assert!(refusal("[drive]\nshared_folder = \"TEAM folders\"").contains("drive.team_folder"));
    assert!(
        refusal("[drive]\ntrash_folder = \"team Folders\"")
            .contains("drive.team_folder and drive.trash_folder")
    );
    assert!(
        refusal("[drive]\nportable_names = true\nshared_folder = \"a:b\"")
            .contains("drive.shared_folder")
    );
    assert!(refusal("[server]\npublic_url = \"https://x/\"").contains("server.public_url"));
    assert!(refusal("[tls]\nlisten = [\"0.0.0.0:443\"]").contains("tls.certificates = ["));
    assert!(
        refusal("[tls]\ncertificates = [{ certificate = \"a\", key = \"b\" }]")
            .contains("tls.listen = [")
    );
    assert!(refusal("[tls]\nplain_http = \"sometimes\"").contains("line 2"));
    assert!(refusal("[tls]\nlocal = true").contains("tls.local needs an address"));
    let tls = |more: &str| refusal(&format!("[tls]\nlisten = [\"0.0.0.0:443\"]\n{more}"));
    assert!(tls("local = true\nlocal_names = [\"a b\"]").contains("tls.local_names: \"a b\""));
    let acme =
        |domain: &str, more: &str| tls(&format!("[tls.acme]\ndomains = [\"{domain}\"]\n{more}"));
    for domain in [
        "*.nest.example",
        "192.0.2.1",
        "nest",
        "nas.local",
        "-a.example",
        "a..example",
        "",
    ] {
        let sentence = acme(domain, "agree_terms = true");
        assert!(
            sentence.contains(&format!("tls.acme.domains: {domain:?}")),
            "{sentence}"
        );
    }
    let twice = acme("nest.example\", \"Nest.EXAMPLE", "agree_terms = true");
    assert!(twice.contains("\"Nest.EXAMPLE\" is there twice"), "{twice}");
    let sentence = acme("nest.example", "");
    assert!(
        sentence.contains("agree_terms = true")
            && sentence.contains("acme-v02.api.letsencrypt.org"),
        "{sentence}"
    );
    assert!(acme("nest.example", "directory = \"staging\"").contains("acme-staging-v02"));
    assert!(
        acme("nest.example", "directory = \"http://ca.example\"").contains("begins with https://")
    );
    assert!(
        acme("nest.example", "agree_terms = true\ncontact = \"ana\"").contains("tls.acme.contact")
    );
    assert!(refusal("[server]\nhosts = [\"http://x/\"]").contains("server.hosts"));
    for mode in ["", "7", "rw-r--r--", "0888", "4755", "01777", "+640"] {
        let sentence = refusal(&format!("[storage]\nfile_mode = \"{mode}\""));
        assert!(
            sentence.contains("line 2") && sentence.contains("such as \"0640\""),
            "{sentence}"
        );
    }
    assert!(refusal("[storage]\nfile_mode = 640").contains("line 2"));
    assert!(refusal("[storage]\nfile_mode = \"0440\"").contains("storage.file_mode"));
    assert!(refusal("[storage]\nfolder_mode = \"640\"").contains("storage.folder_mode is 0640"));
}

#[test]
fn mistakes_beside_a_secret_do_not_tell_it() {
    for (mistake, line) in [
        ("client_secret = \"hushhush", 2),
        ("client_secret = hushhush", 2),
        ("client_secret = 'hushhush' x", 2),
        (
            "client_secret = \"hushhush\"\nclient_secret = \"hushhush\"",
            3,
        ),
        ("client_secret = \"hush\\qhushhush\"", 2),
        ("client-secret = \"hushhush\"", 2),
        ("Client_Secret = \"hushhush\"", 2),
        ("client_secret = 7777777777", 2),
        ("client_secret = [\"hushhush\"]", 2),
        ("client_secret = \"\"\"\nhushhush=\\q\"\"\"", 3),
        ("client_secret = \"hushhush\"\nname = \"a", 3),
        ("name = { x = 1 } # my secret: hushhush", 2),
    ] {
        let sentence = refusal(&format!("[openid]\n{mistake}\n"));
        assert!(
            !sentence.contains("hushhush") && !sentence.contains("7777"),
            "{mistake}: {sentence}"
        );
        assert!(
            sentence.contains(&format!("line {line}, column ")),
            "{mistake}: {sentence}"
        );
    }
    let sentence = refusal("[openid]\nclient_secret = \"hushhush\"\n[log]\nlevle = 5\n");
    assert!(sentence.contains("levle = 5"), "{sentence}");
    let sentence = refusal("[openid]\nclient_secrets = \"hushhush\"\n");
    assert!(
        sentence.contains("unknown field `client_secrets`"),
        "{sentence}"
    );
    let sentence = refusal("[openid]\nclient_secret = 7777777777\n");
    assert!(sentence.contains("not a string"), "{sentence}");
}

#[test]
fn settings_that_cannot_be_reached_are_not_absent() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::os::unix::fs::symlink(at("nothing"), at("dangling")).unwrap();
    std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
    std::fs::write(at("file"), "").unwrap();
    assert!(is_absent(&at("nothing")) && is_absent(&at("nowhere/config.toml")));
    for there in [
        "dangling",
        "loop",
        "loop/config.toml",
        "file",
        "file/config.toml",
    ] {
        assert!(!is_absent(&at(there)), "{there}");
    }
    let read = Config::load(Some(&at("file"))).unwrap().read_from;
    assert_eq!(read, Some(at("file")));
}

#[test]
fn shares_and_days_that_mean_nothing_are_refused() {
    for share in ["nan", "inf", "-inf", "30", "-0.1", "1.5"] {
        let sentence = refusal(&format!("[history]\nburst_share = {share}"));
        assert!(
            sentence.contains("history.burst_share") && sentence.contains("from 0 to 1"),
            "{share}: {sentence}"
        );
    }
    for share in ["0.0", "0.3", "1.0"] {
        let text = format!("[history]\nburst_share = {share}");
        assert!(Config::assemble(&text, &[]).is_ok(), "{share}");
    }
    assert!(refusal("[drive]\nupload_days = 0").contains("drive.upload_days"));
    assert!(Config::assemble("[drive]\nupload_days = 1", &[]).is_ok());
}

#[test]
fn the_environment_overrides_the_file_by_kind() {
    let config = with(&[
        ("SARANG_DATA_DIR", "/srv/123"),
        ("SARANG_SERVER__LISTEN", "127.0.0.1:80, [::1]:80"),
        ("SARANG_SERVER__KEEP_ALIVE", "5"),
        ("SARANG_STORAGE__FILE_MODE", "0640"),
        ("SARANG_DRIVE__PORTABLE_NAMES", "true"),
        ("SARANG_DRIVE__HIDE_QUOTA_FROM", "[\"a,b\"]"),
        ("SARANG_ACCOUNTS__DEFAULT_QUOTA", "1000"),
        ("SARANG_CONFIG", "elsewhere.toml"),
    ])
    .unwrap();
    assert_eq!(config.data_dir, Path::new("/srv/123"));
    assert_eq!(config.server.listen.len(), 2);
    assert_eq!(config.server.keep_alive, 5);
    assert_eq!(config.storage.file_mode.bits(), 0o640);
    assert!(config.drive.portable_names);
    assert_eq!(config.drive.hide_quota_from, ["a,b"]);
    assert_eq!(config.accounts.default_quota, Some(1000));
    assert_eq!(config.log.level, "warn");
    assert_eq!(
        with(&[("SARANG_LOG__LEVEL", "debug")]).unwrap().log.level,
        "debug"
    );
}

#[test]
fn addresses_in_brackets_and_sections_within_sections_come_from_the_environment() {
    let config = with(&[
        ("SARANG_TLS__ACME__DOMAINS", "a.example.org,b.example.org"),
        ("SARANG_SERVER__LISTEN", "[::]:4918"),
        ("SARANG_TLS__LISTEN", "[::1]:443, 127.0.0.1:443"),
        ("SARANG_TLS__ACME__AGREE_TERMS", "true"),
        ("SARANG_TLS__ACME__DIRECTORY", "staging"),
    ])
    .unwrap();
    assert_eq!(
        config.server.listen,
        ["[::]:4918".parse::<std::net::SocketAddr>().unwrap()]
    );
    assert_eq!(config.tls.listen.len(), 2);
    assert_eq!(config.tls.acme.domains, ["a.example.org", "b.example.org"]);
    assert_eq!(config.tls.acme.directory, "staging");
    for (name, value) in [
        ("SARANG_TLS__ACME__DOMAIN", "a.example.org"),
        ("SARANG_TLS__LOCAL__X", "1"),
        ("SARANG_TLS__NONE__X", "1"),
        ("SARANG___X", "1"),
        ("SARANG_DRIVE__HIDE_QUOTA_FROM", "[\"a\", \"b\""),
        ("SARANG_SERVER__LISTEN", "[::1:80"),
    ] {
        let message = format!("{:#}", with(&[(name, value)]).unwrap_err());
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn values_that_are_not_utf8_are_refused_by_the_name_of_their_variable() {
    use std::os::unix::ffi::OsStringExt as _;
    let read = |name: &str| {
        let value = OsString::from_vec(b"/srv/\xff".to_vec());
        own_variables([(OsString::from(name), value)].into_iter())
    };
    for name in ["SARANG_DATA_DIR", "SARANG_LOG__LEVEL"] {
        let message = format!("{:#}", read(name).unwrap_err());
        assert!(
            message.contains(name) && message.contains("UTF-8"),
            "{message}"
        );
    }
    for name in ["SARANG_BIN", "HOME", "OTHER__X"] {
        assert!(
            read(name).unwrap().is_empty(),
            "{name} is none of its settings"
        );
    }
}

#[test]
fn differences_name_the_keys() {
    let read = |text: &str| Config::assemble(text, &[]).unwrap();
    let changed = read(
        "data_dir = \"x\"\n[log]\nlevel = \"warn\"\n[accounts]\ndefault_quota = 5\n[server]\nhosts = [\"a\"]",
    );
    let both = [
        "accounts.default_quota",
        "data_dir",
        "log.level",
        "server.hosts",
    ];
    for (one, other) in [
        (&changed, &Config::default()),
        (&Config::default(), &changed),
    ] {
        let mut found = one.differences(other).unwrap();
        found.sort();
        assert_eq!(found, both);
    }
    assert!(changed.differences(&changed).unwrap().is_empty());
}

#[test]
fn unknown_variables_are_named() {
    for name in ["SARANG_LOG__LEVLE", "SARANG_X__Y", "SARANG_DATA_DIR__X"] {
        let message = format!("{:#}", with(&[(name, "1")]).unwrap_err());
        assert!(message.contains(name), "{message}");
    }
    assert!(
        with(&[("SARANG_BIN", "target/release/sarang")]).is_ok(),
        "not the form of a setting"
    );
}

#[test]
fn printed_settings_read_back_the_same() {
    let config = with(&[("SARANG_ACCOUNTS__DEFAULT_QUOTA", "7")]).unwrap();
    let text = config.to_text().unwrap();
    assert_eq!(
        Config::assemble(&text, &[]).unwrap().to_text().unwrap(),
        text
    );
}
