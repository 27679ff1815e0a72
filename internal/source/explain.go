package source

import (
	"errors"
	"fmt"
	"strings"

	"atelier/internal/fault"
)

// notOpened is the reason of a repository that is hidden from those who may not read it.
const notOpened = "it does not exist, or the git credentials of the server do not open it"

// reasons are the ways in which a repository cannot be read, by the words that git, ssh and curl have for them. The first that
// fits is the reason.
var reasons = []struct {
	words []string
	kind  fault.Kind
	text  string
}{
	{
		[]string{"dubious ownership"},
		fault.Forbidden,
		"its files belong to another user than the server's; list it as safe.directory in the git configuration of the server",
	},
	{
		[]string{"Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"},
		fault.Forbidden,
		"the ssh key of its host is not among the known hosts of the server's user",
	},
	{
		[]string{
			"Authentication failed", "could not read Username", "could not read Password", "terminal prompts disabled",
			"Permission denied", "returned error: 401", "returned error: 403", "Access denied", "HTTP Basic: ",
		},
		fault.Forbidden,
		notOpened,
	},
	{
		[]string{"does not appear to be a git repository", "epository not found", "' not found", "could not be found", "returned error: 404"},
		fault.Forbidden,
		notOpened,
	},
	{
		[]string{"SSL certificate", "certificate verify", "server certificate verification", "unable to get local issuer"},
		fault.Unavailable,
		"the certificate of its host is not trusted by the server",
	},
	{
		[]string{"Could not resolve host", "Could not resolve proxy", "Name or service not known", "Temporary failure in name resolution"},
		fault.Unavailable,
		"the name of its host is not known",
	},
	{
		[]string{
			"Connection refused", "Failed to connect", "Couldn't connect", "Connection timed out", "Network is unreachable", "No route to host",
			"Operation timed out", "Connection reset", "Connection closed", "hung up unexpectedly", "early EOF", "unable to access", "returned error: 5",
		},
		fault.Unavailable, "its host does not answer",
	},
	{[]string{"transport '"}, fault.Invalid, "it leads to an address that is not allowed"},
	{[]string{"mismatched algorithms"}, fault.Invalid, "its commit ids are of another kind than the commit that is asked for"},
	{[]string{`executable file not found`}, fault.Unavailable, "the git program is not installed on the server"},
}

// explain puts what git said about a remote repository into words for clients. It returns nil when git's words say nothing
// about the remote side.
func (c *Client) explain(subject, said string, cause error) error {
	for _, r := range reasons {
		for _, w := range r.words {
			if strings.Contains(said, w) {
				text := r.text
				if text == notOpened {
					text = c.notOpened(said)
				}
				return fault.Wrap(cause, r.kind, "%s cannot be read: %s", subject, text)
			}
		}
	}
	return nil
}

// notOpened says which credentials did not open a repository, and what else would.
func (c *Client) notOpened(said string) string {
	switch {
	case c.credential == (Credential{}):
		return notOpened + "; a task gives it a service endpoint with a user name and a password as endpoint_id"
	case strings.Contains(said, "Authentication failed"):
		return fmt.Sprintf("the user name or the password of the service endpoint %q is wrong", c.credential.Name)
	default:
		return fmt.Sprintf("it does not exist, or the service endpoint %q, which is for %s, does not open it", c.credential.Name, c.credential.URL)
	}
}

// unreadable returns err in words for clients, if git said it.
func (c *Client) unreadable(url string, err error) error {
	var failed *gitError
	if !errors.As(err, &failed) {
		return err
	}
	if explained := c.explain("the repository "+url, failed.Error(), err); explained != nil {
		return explained
	}
	return fault.Wrap(err, fault.Unavailable, "the repository %s cannot be read; the server's log says more", url)
}

// refused reports whether git's words mean that a server does not give out commits by their id, has none with this id, or
// cannot shorten a history.
func refused(said string) bool {
	for _, w := range []string{"not our ref", "unadvertised object", "does not support shallow", "couldn't find remote ref", "not valid"} {
		if strings.Contains(said, w) {
			return true
		}
	}
	return false
}
