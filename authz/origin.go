package authz

import (
	"context"
	"errors"
)

// origin is where a policy comes from: a directory, or a bundle.
type origin interface {
	// read returns what is there now, or errUnchanged when that is what was kept last.
	read(ctx context.Context) (source, error)
	// kept is told that a source is in use.
	kept(source) error
	// follow calls again whenever there may be something newer, until ctx ends.
	follow(ctx context.Context, again func()) error
}

// errUnchanged says that the origin still holds what is in use.
var errUnchanged = errors.New("unchanged")

// newOrigin says where the policy of a configuration comes from.
func newOrigin(cfg *Config) (origin, error) {
	switch {
	case cfg.Bundle != nil && cfg.Directory != "":
		return nil, errors.New("policy has a directory and a bundle")
	case cfg.Bundle != nil:
		return newBundleOrigin(*cfg.Bundle, cfg.Logger)
	case cfg.Directory == "":
		return nil, errors.New("policy directory is not set")
	}
	return &directoryOrigin{directory: cfg.Directory, logger: cfg.Logger}, nil
}
