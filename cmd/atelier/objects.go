package main

import (
	"atelier/internal/fault"
	"atelier/internal/objects"
)

// objectFlags say where upload_obs steps put files.
type objectFlags struct {
	ObjectStore            string `help:"Address of the S3 or OBS store that upload_obs steps put files into, such as https://obs.example.org." placeholder:"URL"`
	ObjectStoreCredentials string `help:"File with the access key for that, in the form of ~/.aws/credentials." placeholder:"FILE"`
}

// config checks the flags and returns the store; nil when there is none.
func (f objectFlags) config() (*objects.Store, []error) {
	switch {
	case f.ObjectStore == "":
		return nil, nil
	case f.ObjectStoreCredentials == "":
		return nil, []error{fault.Field("--object-store-credentials", "is missing; the object store wants to know who writes")}
	}
	store, err := objects.New(objects.Config{Endpoint: f.ObjectStore, Credentials: f.ObjectStoreCredentials})
	if err != nil {
		return nil, []error{fault.Field("--object-store", "%v", err)}
	}
	return store, nil
}
