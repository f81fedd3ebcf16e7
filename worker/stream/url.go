package stream

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// parseURL reads the address of a Redis. The URL may hold a password, so an error
// says what is wrong with it and repeats no more of it than a scheme, a host or
// the name of an option.
func parseURL(text string) (*redis.Options, error) {
	for _, check := range []func(string) error{checkText, checkScheme, checkStray, checkHost, checkUserinfo, checkOptions} {
		if err := check(text); err != nil {
			return nil, fmt.Errorf("redis URL: %w: %w", ErrMisconfigured, err)
		}
	}
	options, err := redis.ParseURL(text)
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w: %w", ErrMisconfigured, withoutText(err))
	}
	if options.DB < 0 {
		return nil, fmt.Errorf("redis URL: %w: database %d is none: they count from 0", ErrMisconfigured, options.DB)
	}
	return options, nil
}

const example = "like redis://127.0.0.1:6379/0"

// checkText looks for what a shell or a file added to the value.
func checkText(text string) error {
	switch {
	case text == "":
		return errors.New("it is empty: write one " + example)
	case strings.ContainsAny(text[:1], `"'`) || strings.HasSuffix(text, `"`) || strings.HasSuffix(text, "'"):
		return errors.New("it stands in quotes, which are part of the value: write it without them")
	case strings.ContainsAny(text, " \t\r\n"):
		return errors.New("it has a space or a line break in it: write one URL and nothing else; in a password a space is %20")
	case strings.HasPrefix(text, "$"):
		return errors.New("it is the name of a variable: nothing has put in its value")
	}
	return nil
}

// otherSchemes says what to write instead of schemes that other clients take.
var otherSchemes = map[string]string{
	"valkey": "write redis://: Valkey speaks the same protocol", "valkeys": "write rediss://: Valkey speaks the same protocol",
	"tcp": "write redis://", "redis+tcp": "write redis://",
	"tls": "write rediss://", "ssl": "write rediss://", "redis+tls": "write rediss://", "redis+ssl": "write rediss://", "redis-tls": "write rediss://",
	"redis+socket": "write unix:///path/of/the/socket", "redis-socket": "write unix:///path/of/the/socket", "redis+unix": "write unix:///path/of/the/socket", "file": "write unix:///path/of/the/socket",
	"http": "that is the address of a web page: write redis://", "https": "that is the address of a web page: write rediss://",
	"sentinel": sentinel, "redis-sentinel": sentinel, "redis+sentinel": sentinel, "rediss+sentinel": sentinel, "valkey-sentinel": sentinel,
	"cluster": cluster, "redis-cluster": cluster, "redis+cluster": cluster, "rediss+cluster": cluster,
}

const (
	sentinel = "datawriter does not ask Sentinel: give the address of the master (redis-cli -p 26379 sentinel get-master-addr-by-name NAME)"
	cluster  = "datawriter works with one server and not with a cluster of several: give the address of a single Redis, as redis://HOST:6379/0"
)

func checkScheme(text string) error {
	scheme, rest, found := strings.Cut(text, "://")
	switch {
	case !found:
		return fmt.Errorf("it does not begin with redis://, rediss:// or unix://: write %s", addressed(text))
	case slices.Contains([]string{"redis", "rediss", "unix"}, strings.ToLower(scheme)):
		return nil
	}
	if says, known := otherSchemes[strings.ToLower(scheme)]; known {
		return fmt.Errorf("%s:// is not what it takes: %s", scheme, says)
	}
	return fmt.Errorf("what it begins with is not known: write %s (rediss:// for TLS, unix:// for a socket)", addressed(rest))
}

// plainHost is a host with or without a port, of which nothing can be a secret.
var plainHost = regexp.MustCompile(`^([a-z0-9-]+\.)*[a-z0-9-]+:[0-9]{1,5}$`)

// addressed returns the URL that was probably meant by what stands where a host
// should, or an example.
func addressed(rest string) string {
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	if rest = rest[strings.LastIndex(rest, "@")+1:]; plainHost.MatchString(rest) {
		return "redis://" + rest
	}
	return "one " + example
}

// split returns what stands between the slashes and the first character that ends
// it, and the rest.
func split(text string) (authority, rest string) {
	_, rest, _ = strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		return rest[:end], rest[end:]
	}
	return rest, ""
}

// errReserved is the mistake of everybody who pastes a generated password.
var errReserved = errors.New("the user or the password in it has a character that means something else in a URL: " +
	"write %23 for #, %25 for %, %2F for /, %3A for :, %3F for ? and %40 for @, or give the password in a file (--redis-password-file)")

// checkStray finds an @ behind the host: the password before it ended the host early.
func checkStray(text string) error {
	switch _, rest := split(text); {
	case strings.Contains(rest, "@"):
		return errReserved
	case strings.Contains(rest, "#"):
		return errors.New("what begins with # in it means nothing: take it out; in a password # is %23")
	}
	return nil
}

// checkHost finds addresses that are not one host and one port.
func checkHost(text string) error {
	authority, _ := split(text)
	at := authority[strings.LastIndex(authority, "@")+1:]
	_, port, _ := strings.Cut(at[strings.LastIndex(at, "]")+1:], ":")
	switch {
	case strings.HasPrefix(strings.ToLower(text), "unix:"):
		if at != "" {
			return errors.New("the path of a socket begins with a slash: unix:///run/redis.sock")
		}
	case strings.Contains(at, ","):
		return errors.New("it names several hosts: " + cluster)
	case net.ParseIP(at) != nil && strings.Contains(at, ":"):
		return fmt.Errorf("an address of IPv6 stands in brackets: redis://[%s]:6379/0", at)
	case strings.Trim(port, "0123456789") != "":
		return errors.New("what stands behind the : of the host is no port")
	}
	return nil
}

func checkUserinfo(text string) error {
	if authority, _ := split(text); !strings.Contains(authority, "@") {
		return nil
	}
	if _, err := url.Parse(text); err != nil {
		return errReserved
	}
	return nil
}

// options lists the options that a URL may carry: those of go-redis that are left
// to people. The others are fixed by what a drain promises.
var options = []string{
	"db", "client_name", "dial_timeout", "skip_verify", "pool_fifo", "pool_size", "pool_timeout", "min_idle_conns", "max_idle_conns", "max_active_conns",
	"max_concurrent_dials", "conn_max_idle_time", "conn_max_lifetime", "conn_max_lifetime_jitter", "idle_timeout", "max_conn_age",
	"pipeline_pool_size", "pipeline_read_buffer_size", "pipeline_write_buffer_size",
	"protocol", "max_retries", "min_retry_backoff", "max_retry_backoff", "read_timeout", "write_timeout",
}

// otherOptions says what to write instead of options that other clients take.
var otherOptions = map[string]string{
	"ssl": "write rediss:// instead", "tls": "write rediss:// instead", "usetls": "write rediss:// instead", "use_tls": "write rediss:// instead",
	"ssl_cert_reqs": "rediss:// checks the server's certificate; skip_verify=true does not", "ssl_check_hostname": "rediss:// checks the server's certificate; skip_verify=true does not",
	"insecure_skip_verify": "write skip_verify=true", "rejectunauthorized": "write skip_verify=true",
	"ssl_ca_certs": "name the file with --redis-ca-file", "ssl_certfile": "name the file with --redis-cert-file", "ssl_keyfile": "name the file with --redis-key-file",
	"password": "write redis://:PASSWORD@HOST, or name a file with --redis-password-file", "username": "write redis://USER@HOST", "user": "write redis://USER@HOST",
	"database": "write the number behind the host, as /0, or db=0", "family": "leave it out: both kinds of addresses are tried",
	"socket_timeout": "leave it out", "socket_connect_timeout": "write dial_timeout=5s", "connect_timeout": "write dial_timeout=5s", "timeout": "write dial_timeout=5s",
	"decode_responses": "leave it out", "sentinel": sentinel, "mastername": sentinel, "master_name": sentinel,
}

func checkOptions(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return nil //nolint:nilerr // go-redis says what is wrong
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("what stands behind the ? is not NAME=VALUE&NAME=VALUE")
	}
	for name := range query {
		if slices.Contains(options, name) {
			continue
		}
		says, known := otherOptions[strings.ToLower(name)]
		if !known {
			says = similar(name)
		}
		return fmt.Errorf("option %q is not known: %s", name, says)
	}
	return nil
}

// similar suggests the option that is fewest changes of letters away, if any is near.
func similar(name string) string {
	best := slices.MinFunc(options, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if distance(name, best) > max(2, len(name)/3) {
		return "leave it out; there are " + strings.Join(options[:4], ", ") + " and those of go-redis for its pool"
	}
	return "did you mean " + best + "?"
}

// distance counts the letters to insert, remove or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// withoutText takes the URL out of an error of parsing it.
func withoutText(err error) error {
	var parsing *url.Error
	if errors.As(err, &parsing) {
		err = parsing.Err
	}
	return errors.New(strings.TrimPrefix(err.Error(), "redis: "))
}
