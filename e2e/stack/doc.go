// Package stack starts the real parts around the gateway, and the gateway, on
// this machine: a private PostgreSQL cluster, Vault with its database secrets
// engine, an OpenID provider. The end-to-end tests and the demo stand on it.
//
//	        TLS, token or SCRAM            TLS, client certificate, SCRAM
//	client ───────────────────▶ gateway ──────────────────────────────▶ PostgreSQL
//	                              │  ▲                                      ▲
//	                       AppRole│  │JWKS                                  │CREATE ROLE … DROP ROLE
//	                              ▼  │                                      │
//	                           Vault └─ OpenID provider            Vault ───┘
//
// Everything listens on 127.0.0.1, lives in private directories and ends with
// [Services.Stop], or with the process that started it, however that ends:
// the children are told by the kernel (PR_SET_PDEATHSIG).
package stack
