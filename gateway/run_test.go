package gateway

import "testing"

func TestSpareRunsAreUsedAgain(t *testing.T) {
	var spare spareRuns
	for round := range 3 { // the places are used in turn
		given := map[*run]bool{}
		var runs []*run
		for range maxSpareRuns + 2 {
			r := &run{number: 7, tags: []byte("SELECT 1"), done: true}
			runs = append(runs, r)
			given[r] = true
		}
		spare.give(runs[:3])
		spare.give(runs[3:])
		for i := range maxSpareRuns {
			r := spare.take()
			if !given[r] {
				t.Fatalf("round %d: run %d is a new one, or was taken already", round, i)
			}
			delete(given, r)
			if r.number != 0 || len(r.tags) != 0 || r.done {
				t.Errorf("round %d: run %d says what it said: %+v", round, i, r)
			}
		}
		if r := spare.take(); given[r] {
			t.Errorf("round %d: more runs were kept than there is room for", round)
		}
	}
}
