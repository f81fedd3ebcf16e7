// Package prefect asks the API of a Prefect 3 server. It logs in, and it brings
// the token that a server with PREFECT_SERVER_CSRF_PROTECTION_ENABLED wants with
// every POST.
//
// It knows nothing of what is deployed there.
package prefect
