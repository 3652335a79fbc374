//! Log-in against the test issuer. `bench` puts an authenticator, an issuer and a directory together; the
//! other modules break one thing each.

/// Tests of tokens that must be refused: the name of the case, the token, the rule that it breaks.
macro_rules! refused {
    ($($name:ident: $token:expr, ($rule:pat);)*) => { $(
        #[tokio::test]
        async fn $name() {
            let bench = Bench::start().await;
            let token: fn(&Bench) -> Vec<String> = |b| Vec::from(($token)(b));
            for token in token(&bench) {
                let fault = bench.fault(&token).await;
                assert!(matches!(fault, $rule), "{fault}: {token}");
            }
            // The bench is not broken: the same issuer's good token is accepted.
            assert!(bench.login(&bench.token().sign()).await.is_ok());
        }
    )* };
}

mod bench;
mod keys;
mod refused_claims;
mod refused_keys;
mod refused_structure;
mod tls;
mod total;
mod who;
