package stream_test

import (
	"errors"
	"strings"
	"testing"

	"datawriter/worker/stream"
)

// Every password in these is "geheim", whole or in pieces: none may be repeated.
func TestAURLThatIsWrongSaysWhatIsWrongWithIt(t *testing.T) {
	for _, c := range []struct{ name, url, says string }{
		{"it is empty", "", "it is empty"},
		{"only host and port", "127.0.0.1:7104", "write redis://127.0.0.1:7104"},
		{"only the name of a service and port", "redis:6379", "write redis://redis:6379"},
		{"only a host", "redis.example.org", "write one like redis://"},
		{"only what may be the password", "geheim", "write one like redis://"},
		{"host and port behind a password", "geheim@redis:6379", "write redis://redis:6379"},
		{"one slash", "redis:/127.0.0.1:6379", "does not begin with redis://"},
		{"double quotes", `"redis://:geheim@127.0.0.1:7104/0"`, "quotes"},
		{"single quotes", `'redis://:geheim@127.0.0.1:7104/0'`, "quotes"},
		{"half of the quotes", `redis://:geheim@127.0.0.1:7104/0"`, "quotes"},
		{"two URLs", "redis://:geheim@a:1/0 redis://b:1/0", "a space"},
		{"a space in the password", "redis://:geh eim@127.0.0.1:1/0", "%20"},
		{"a variable without its value", "${REDIS_URL}", "variable"},

		{"Valkey's scheme", "valkey://:geheim@127.0.0.1:7104/0", "write redis://"},
		{"Valkey's scheme with TLS", "valkeys://127.0.0.1:7104/0", "write rediss://"},
		{"Sentinel's scheme", "redis-sentinel://:geheim@127.0.0.1:26379/mymaster/0", "get-master-addr-by-name"},
		{"another of Sentinel's schemes", "redis+sentinel://h1,h2/mymaster/0", "get-master-addr-by-name"},
		{"a cluster's scheme", "redis+cluster://h1:7000,h2:7001", "single Redis"},
		{"a web page's scheme", "http://127.0.0.1:6379", "web page"},
		{"a web page's scheme with TLS", "https://127.0.0.1:6379", "web page"},
		{"Docker's scheme", "tcp://127.0.0.1:6379", "write redis://"},
		{"a scheme with TLS of other clients", "redis+tls://127.0.0.1:6379", "write rediss://"},
		{"a scheme of sockets of other clients", "redis-socket:///run/redis.sock", "write unix://"},
		{"a scheme with a typo", "reddis://:geheim@127.0.0.1:6379/0", "write redis://127.0.0.1:6379"},
		{"a password where the scheme should be", "geheim://redis", "write one like redis://"},

		{"# in the password", "redis://:geh#eim@127.0.0.1:7104/0", "%23"},
		{"# and % in the password", "redis://:geh#eim%c@127.0.0.1:7104/0", "%25"},
		{"% in the password", "redis://:geheim%zz@127.0.0.1:7104/0", "%25"},
		{"/ in the password", "redis://:geh/eim@127.0.0.1:7104/0", "%2F"},
		{"? in the password", "redis://:geh?eim@127.0.0.1:7104/0", "%3F"},
		{"? and = in the password", "redis://:geh?eim=x@127.0.0.1:7104/0", "%3F"},
		{"@ and / in the password", "redis://:g@e/geheim@127.0.0.1:7104/0", "%40"},
		{"@ and ? in the password", "redis://:g@e?geheim@127.0.0.1:7104/0", "%40"},
		{"[ in the password", "redis://:geheim[@127.0.0.1:7104/0", "--redis-password-file"},
		{"a comment behind it", "redis://127.0.0.1:7104/0#production", "# in it means nothing"},

		{"a password behind the port", "redis://127.0.0.1:7104:geheim/0", "no port"},
		{"a port that is a word", "redis://:geheim@host:notaport/0", "no port"},
		{"a password and no @", "redis://:geheim", "no port"},
		{"several hosts", "redis://h1:7000,h2:7001/0", "several hosts"},
		{"an address of IPv6", "redis://::1/0", "redis://[::1]:6379"},
		{"a socket without a leading slash", "unix://run/redis.sock", "unix:///run/redis.sock"},
		{"a database that is a word", "redis://127.0.0.1:7104/bluesky", `"bluesky"`},
		{"two databases", "redis://127.0.0.1:7104/0/1", "/0/1"},
		{"a database below 0", "redis://127.0.0.1:7104/-1", "from 0"},
		{"a database below 0 as an option", "unix:///run/redis.sock?db=-1", "from 0"},

		{"an option of Python", "rediss://127.0.0.1:7104/0?ssl_cert_reqs=none", "skip_verify=true"},
		{"another option of Python", "rediss://127.0.0.1:7104/0?ssl_ca_certs=/ca.pem", "--redis-ca-file"},
		{"an option of Node", "redis://127.0.0.1:7104/0?family=0", "leave it out"},
		{"an option of PHP", "redis://127.0.0.1:7104/0?database=3", "db=0"},
		{"TLS as an option", "redis://127.0.0.1:7104/0?ssl=true", "write rediss://"},
		{"the password as an option", "redis://127.0.0.1:7104/0?password=geheim", "--redis-password-file"},
		{"an option with a typo", "redis://127.0.0.1:7104/0?dail_timeout=1s", "did you mean dial_timeout?"},
		{"an option with another typo", "rediss://127.0.0.1:7104/0?skipverify=true", "did you mean skip_verify?"},
		{"an option like none", "redis://127.0.0.1:7104/0?application=bluesky", "there are db, "},
		{"an option whose value is none", "redis://127.0.0.1:7104/0?dial_timeout=soon", "dial_timeout"},
		{"a truth that is none", "rediss://127.0.0.1:7104/0?skip_verify=perhaps", "skip_verify"},
		{"options that are none", "redis://127.0.0.1:7104/0?a=%zz", "NAME=VALUE"},
	} {
		_, err := stream.Open(stream.Config{URL: c.url})
		if !errors.Is(err, stream.ErrMisconfigured) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrMisconfigured and %q", c.name, err, c.says)
			continue
		}
		for _, secret := range []string{"geh", "eim"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the password stands in %q", c.name, err)
			}
		}
	}
}

func TestURLsThatAreRight(t *testing.T) {
	for _, c := range []struct {
		url, address, user, password string
		db                           int
	}{
		{"redis://127.0.0.1:7104/3", "127.0.0.1:7104", "", "", 3},
		{"redis://", "localhost:6379", "", "", 0},
		{"redis://redis/", "redis:6379", "", "", 0},
		{"REDIS://redis:1", "redis:1", "", "", 0},
		{"redis://[::1]:6379/0", "[::1]:6379", "", "", 0},
		{"redis://drainer@redis:6379", "redis:6379", "drainer", "", 0},
		{"redis://drainer:g@h:e!$&'()*+,;=im@redis:6379", "redis:6379", "drainer", "g@h:e!$&'()*+,;=im", 0},
		{"rediss://:p%23ss%25%2F%40%3A%3Fx@redis:6379/0", "redis:6379", "", "p#ss%/@:?x", 0},
		{"unix:///run/redis.sock?db=2", "/run/redis.sock", "", "", 2},
		{"unix://u:p@/run/redis.sock", "/run/redis.sock", "u", "p", 0},
		{"rediss://redis:6379/0?skip_verify=true&dial_timeout=3s&pool_size=4&client_name=a%40b", "redis:6379", "", "", 0},
	} {
		client, err := stream.Open(stream.Config{URL: c.url})
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if o := client.Redis().Options(); o.Addr != c.address || o.Username != c.user || o.Password != c.password || o.DB != c.db {
			t.Errorf("%s: %s %q %q %d", c.url, o.Addr, o.Username, o.Password, o.DB)
		}
		if err := client.Close(); err != nil {
			t.Errorf("%s: %v", c.url, err)
		}
	}
}
