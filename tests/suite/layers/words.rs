//! One name for one thing: no type name is given twice.

use super::source::sources;
use regex::Regex;
use std::collections::BTreeMap;

#[test]
fn no_type_name_stands_for_two_things() {
    let definition =
        Regex::new(r"(?m)^(?:pub(?:\([a-z: ]+\))? )?(?:struct|enum|trait|type) ([A-Z]\w*)")
            .unwrap();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for found in definition.captures_iter(&source.code) {
            let name = places.entry(found[1].to_owned()).or_default();
            name.push(source.module.clone());
        }
    }
    assert!(places.len() > 300, "only {} types were found", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(
        places.is_empty(),
        "type names that are given twice: {places:#?}"
    );
}
