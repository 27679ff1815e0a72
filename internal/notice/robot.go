package notice

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"atelier/internal/dialer"
)

// Robots sends messages to the web addresses of chat services.
type Robots struct{ client *http.Client }

// NewRobots returns a sender that connects with a dialer. Redirections are not followed.
func NewRobots(d *dialer.Dialer) *Robots {
	return &Robots{&http.Client{
		Timeout:       15 * time.Second,
		Transport:     &http.Transport{DialContext: d.DialContext, Proxy: nil, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// unsentError is the error of a message for which there was no connection. Its words are for users: they do not say which address a
// name stands for, and what is there.
type unsentError struct {
	why   string
	cause error
}

func (e *unsentError) Error() string { return e.why }
func (e *unsentError) Unwrap() error { return e.cause }

// unsent puts the error of a request into words for users.
func unsent(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the address
	}
	_, unknown := errors.AsType[*net.DNSError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch refused := dialer.Refused(err); {
	case refused != nil:
		return refused
	case unknown:
		return &unsentError{"the name of its host is not known", err}
	case untrusted:
		return &unsentError{"the certificate of its host is not trusted by the server", err}
	default:
		return &unsentError{"its host does not answer", err}
	}
}

// maxAnswer is how much of a robot's answer is read.
const maxAnswer = 64 << 10

// send sends a message in the form of the channel. The error says nothing of the address, which holds a key.
func (r *Robots) send(ctx context.Context, channel Channel, c Config, text string, now time.Time) error {
	address, body := message(channel, c, shorten(text), now)
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(data))
	if err != nil {
		return errors.New("the address is not well-formed")
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	response, err := r.client.Do(request)
	if err != nil {
		return unsent(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return errors.New("the answer broke off")
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the answer was %s", response.Status)
	}
	return refused(answer)
}

// maxText is how many bytes of a text are sent: WeCom takes no more than 2048.
const maxText = 2000

func shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// refused reports what a chat service says in an answer that looks like a success: a number that is not 0.
func refused(answer []byte) error {
	var said struct {
		ErrCode int    `json:"errcode"` // DingTalk, WeCom
		ErrMsg  string `json:"errmsg"`
		Code    int    `json:"code"` // Feishu
		Msg     string `json:"msg"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return nil //nolint:nilerr // a robot of somebody's own may say anything
	}
	if said.ErrCode != 0 || said.Code != 0 {
		return fmt.Errorf("the chat service refused it: %d %.200s", said.ErrCode+said.Code, said.ErrMsg+said.Msg)
	}
	return nil
}

// message is what a channel's robots take, and where it goes.
func message(channel Channel, c Config, text string, now time.Time) (address string, body any) {
	switch channel {
	case DingTalk:
		return signedDingTalk(c, now), map[string]any{"msgtype": "text", "text": map[string]string{"content": text}}
	case Feishu:
		body := map[string]any{"msg_type": "text", "content": map[string]string{"text": text}}
		if c.Secret != "" {
			stamp := strconv.FormatInt(now.Unix(), 10)
			body["timestamp"] = stamp
			// Feishu's signature is that of nothing, with the time and the key as the key.
			body["sign"] = sign(stamp+"\n"+c.Secret, "")
		}
		return c.Webhook, body
	default:
		return c.Webhook, map[string]any{"msgtype": "text", "text": map[string]string{"content": text}}
	}
}

// signedDingTalk adds time and signature to a robot's address, if it has a key.
func signedDingTalk(c Config, now time.Time) string {
	u, err := url.Parse(c.Webhook)
	if err != nil || c.Secret == "" {
		return c.Webhook
	}
	stamp := strconv.FormatInt(now.UnixMilli(), 10)
	q := u.Query()
	q.Set("timestamp", stamp)
	q.Set("sign", sign(c.Secret, stamp+"\n"+c.Secret))
	u.RawQuery = q.Encode()
	return u.String()
}

func sign(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
