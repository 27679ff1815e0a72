package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"atelier/internal/iam/signature"
)

// client calls the public API as any other program would: over HTTP, with signed requests.
type client struct {
	endpoint string
	key      signature.Key
	http     *http.Client
}

// call sends a request and decodes the answer's JSON into answer. It returns the body as it came.
func (c *client) call(ctx context.Context, method, path string, query url.Values, body, answer any) ([]byte, error) {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	address := c.endpoint + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	signature.Sign(r, payload, c.key, time.Now())
	response, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		var failure struct {
			Code    string `json:"error_code"`
			Message string `json:"error_msg"`
		}
		_ = json.Unmarshal(data, &failure) // empty when the answer is not ours
		return nil, fmt.Errorf("%s %s: %s: %s %s", method, path, response.Status, failure.Code, failure.Message)
	}
	if answer == nil {
		return data, nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return data, nil
}
