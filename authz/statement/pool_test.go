package statement

import (
	"context"
	"testing"
)

func TestPoolAnalyzes(t *testing.T) {
	pool := startPool(t, Config{})
	sheet, err := pool.Analyze(context.Background(), "select id from app.orders where id = 7")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", sheet)
	again, err := pool.Analyze(context.Background(), "select id from app.orders where id = 7")
	if err != nil || again != sheet {
		t.Fatalf("got %p, %v, want the same sheet %p", again, err, sheet)
	}
}
