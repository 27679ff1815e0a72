package main

import (
	"context"
	"fmt"
	"time"

	"atelier/internal/iam"
)

type keyCommand struct {
	Create keyCreate `cmd:"" help:"Make an access key for a user and print it: the secret is shown only now."`
	List   keyList   `cmd:"" help:"List the access keys of a user."`
	Delete keyDelete `cmd:"" help:"Delete an access key."`
}

type keyCreate struct {
	userFlags   `embed:""`
	Description string `help:"What the key is for." env:"-"`
}

// Run implements the command.
func (c *keyCreate) Run(std stdio, signals interrupts) error {
	return c.doUser(signals, func(ctx context.Context, s *iam.Service, userID string) error {
		key, secret, err := s.CreateKey(ctx, userID, c.Description)
		if err != nil {
			return err
		}
		return printed(fmt.Fprintf(std.Out, "HUAWEICLOUD_SDK_AK=%s\nHUAWEICLOUD_SDK_SK=%s\n", key.Access, secret))
	})
}

type keyList struct {
	userFlags `embed:""`
}

// Run implements the command.
func (c *keyList) Run(std stdio, signals interrupts) error {
	return c.doUser(signals, func(ctx context.Context, s *iam.Service, userID string) error {
		keys, err := s.Keys(ctx, userID)
		if err != nil {
			return err
		}
		return table(std.Out, "ACCESS KEY\tACTIVE\tMADE\tDESCRIPTION", keys, func(k iam.AccessKey) []any {
			return []any{k.Access, k.Active, k.CreatedAt.Format(time.RFC3339), k.Description}
		})
	})
}

type keyDelete struct {
	adminFlags `embed:""`
	Access     string `arg:"" help:"The access key, not its secret."`
}

// Run implements the command.
func (c *keyDelete) Run(signals interrupts) error {
	return c.do(signals, func(ctx context.Context, s *iam.Service, _ iam.Domain) error { return s.DeleteKey(ctx, c.Access) })
}
