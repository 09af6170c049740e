//! Tests of openid.

use super::*;
use crate::config::AccountsConfig;
use crate::model::Role;
use crate::state::memory::MemoryStore;
use crate::state::table::encode;
use crate::state::{Batch, StateStore};

#[tokio::test]
async fn a_link_is_to_the_account_it_was_made_for_and_to_no_namesake() {
    let store = MemoryStore::new();
    let ana = AccountName::parse("ana").unwrap();
    let open = async || {
        Auth::open(store.clone(), &AccountsConfig::default())
            .await
            .unwrap()
    };
    let auth = open().await;
    let made = auth
        .create(&ana, b"blue kettle 77", Role::User, None)
        .await
        .unwrap()
        .created;
    for (of, stands) in [(made, 1), (made - 1, 0)] {
        let id = auth.accounts.find(&ana).unwrap().id();
        let link = OpenIdLink::new("https://id.example", "s1", &ana, (of, &id)).unwrap();
        store
            .commit(Batch::new().put("openid/x", encode(&link).unwrap()))
            .await
            .unwrap();
        let auth = open().await;
        assert_eq!(auth.openid_links_of(&ana).len(), stands);
        assert_eq!(
            store.get("openid/x").await.unwrap().is_some(),
            stands == 1,
            "what is void is cleared away"
        );
    }
}
