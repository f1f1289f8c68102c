package gateway

import (
	"cmp"
	"math"
	"slices"
	"testing"
)

// rankSum is the Mann-Whitney U test (https://doi.org/10.1214/aoms/1177730491): u counts the pairs of which a's value is the larger,
// ties half; p is the chance of a u that far from the middle, either way, if both samples are of one distribution. p is by the normal
// approximation, corrected for ties and continuity: good from some twenty values each.
//
// It asks for nothing about the distribution. Times of logins on a machine that does other things have tails that no mean survives.
func rankSum[T cmp.Ordered](a, b []T) (u, p float64) {
	type value struct {
		at  T
		ofA bool
	}
	var all []value
	for _, v := range a {
		all = append(all, value{v, true})
	}
	for _, v := range b {
		all = append(all, value{v, false})
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.at, y.at) })
	n, m := float64(len(a)), float64(len(b))
	var ranks, ties float64
	for from := 0; from < len(all); {
		to := from
		for to < len(all) && all[to].at == all[from].at {
			to++
		}
		rank := float64(from+to+1) / 2 // of each of these
		for _, v := range all[from:to] {
			if v.ofA {
				ranks += rank
			}
		}
		t := float64(to - from)
		ties += t*t*t - t
		from = to
	}
	u = ranks - n*(n+1)/2
	sigma := math.Sqrt(n * m / 12 * (n + m + 1 - ties/((n+m)*(n+m-1))))
	if sigma == 0 {
		return u, 1
	}
	z := max(math.Abs(u-n*m/2)-0.5, 0) / sigma
	return u, math.Erfc(z / math.Sqrt2)
}

func TestRankSum(t *testing.T) {
	tests := map[string]struct {
		a, b []int
		u, p float64
	}{
		// The documentation of scipy.stats.mannwhitneyu has these ages at which diabetes was found, with U = 17 and p = 0.11135.
		"published": {[]int{19, 22, 16, 29, 24}, []int{20, 11, 17, 12}, 17, 0.11134688653314041},
		// Aesop's race of six tortoises and six hares, T H H H H H T T T T T H: U = 25 and 11. p is by hand: |25-18|-0.5 over sqrt(39).
		"published, places": {[]int{1, 7, 8, 9, 10, 11}, []int{2, 3, 4, 5, 6, 12}, 25, math.Erfc(6.5 / math.Sqrt(39) / math.Sqrt2)},
		"the other way":     {[]int{2, 3, 4, 5, 6, 12}, []int{1, 7, 8, 9, 10, 11}, 11, math.Erfc(6.5 / math.Sqrt(39) / math.Sqrt2)},
		"all larger":        {[]int{5, 6, 7, 8}, []int{1, 2, 3, 4}, 16, math.Erfc(7.5 / math.Sqrt(12) / math.Sqrt2)},
		"one sample":        {[]int{1, 2, 3}, []int{1, 2, 3}, 4.5, 1},
		"all the same":      {[]int{7, 7, 7}, []int{7, 7, 7}, 4.5, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			u, p := rankSum(tt.a, tt.b)
			if u != tt.u || math.Abs(p-tt.p) > 1e-12 {
				t.Errorf("u %v, p %v, want %v, %v", u, p, tt.u, tt.p)
			}
		})
	}
}

// TestRankSumCountsWhatItSays compares with the definition: of all ways to deal sixteen places to two samples of eight, as many are as
// far from the middle as p says.
func TestRankSumCountsWhatItSays(t *testing.T) {
	counts := map[float64]float64{} // by u
	var ways float64
	for mask := range uint(1) << 16 {
		var a, b []int
		for place := range 16 {
			if mask>>place&1 == 1 {
				a = append(a, place)
			} else {
				b = append(b, place)
			}
		}
		if len(a) == 8 {
			u, _ := rankSum(a, b)
			counts[u]++
			ways++
		}
	}
	for _, a := range [][]int{{0, 2, 4, 6, 8, 10, 12, 14}, {0, 1, 2, 3, 8, 9, 10, 11}, {0, 1, 2, 3, 4, 5, 12, 15}, {0, 1, 2, 3, 4, 5, 6, 8}} {
		var b []int
		for place := range 16 {
			if !slices.Contains(a, place) {
				b = append(b, place)
			}
		}
		u, p := rankSum(a, b)
		var exact float64
		for other, n := range counts {
			if math.Abs(other-32) >= math.Abs(u-32) {
				exact += n / ways
			}
		}
		if math.Abs(p-exact) > 0.01 {
			t.Errorf("u %v: p %v, exactly %v", u, p, exact)
		}
	}
}
