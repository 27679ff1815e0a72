// Package objects puts the files of builds into an object store that answers the S3 protocol.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"atelier/internal/fault"
)

// Config is what a [Store] is made of.
type Config struct {
	Endpoint    string // address of the store, such as https://obs.example.org
	Credentials string // file in the form of ~/.aws/credentials, whose default profile counts; it is read for each file that is put
}

// Store is an object store. It may be used by many goroutines.
type Store struct{ client *minio.Client }

// tries is how often the store is asked before an upload has failed.
const tries = 4

// New returns the store at an address, which is not asked yet.
func New(config Config) (*Store, error) {
	u, err := url.Parse(config.Endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("must be an address such as https://obs.example.org, without a path, found %q", config.Endpoint)
	}
	keys := credentials.NewFileAWSCredentials(config.Credentials, "default")
	if value, err := keys.GetWithContext(nil); err != nil {
		return nil, fmt.Errorf("the credentials of the object store cannot be read: %w", err)
	} else if value.AccessKeyID == "" || value.SecretAccessKey == "" {
		return nil, fmt.Errorf("the file %s has no aws_access_key_id or no aws_secret_access_key below [default]", config.Credentials)
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: keys, Secure: u.Scheme == "https", MaxRetries: tries})
	if err != nil {
		return nil, err
	}
	client.SetAppInfo("atelier", "")
	return &Store{client}, nil
}

// Put makes an object, or replaces one; until all of content is there, nothing has changed. Headers count that are an object's; those that begin with X-Obs-Meta- or
// X-Amz-Meta- are kept with it under names of their own. Errors that a user can do something about are faults.
func (s *Store) Put(ctx context.Context, bucket, key string, headers http.Header, content io.Reader, size int64) error {
	options := minio.PutObjectOptions{
		UserMetadata: make(map[string]string), ContentType: headers.Get("Content-Type"), ContentEncoding: headers.Get("Content-Encoding"),
		ContentDisposition: headers.Get("Content-Disposition"), ContentLanguage: headers.Get("Content-Language"), CacheControl: headers.Get("Cache-Control"),
	}
	for name := range headers {
		for _, prefix := range []string{"X-Obs-Meta-", "X-Amz-Meta-"} {
			if own, ok := strings.CutPrefix(name, prefix); ok {
				options.UserMetadata[own] = headers.Get(name)
			}
		}
	}
	_, err := s.client.PutObject(ctx, bucket, key, content, size, options)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var said minio.ErrorResponse
	if errors.As(err, &said) && said.Code != "" {
		return fault.Wrap(err, fault.Invalid, "the object store refused %s in the bucket %s: %s, %s", key, bucket, said.Code, said.Message)
	}
	return fault.Wrap(err, fault.Invalid, "the object store could not be given %s: it does not answer as one does", key)
}
