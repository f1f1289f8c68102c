package inspect

import (
	"fmt"
	"strconv"
)

// releasesOf is when the table below was made, of https://www.postgresql.org/support/security/ and
// https://www.postgresql.org/support/versioning/.
const releasesOf = "2026-11"

// release is what is known of a major version.
type release struct {
	minor int    // the first without known holes
	holes string // the worst of those before it
	ended string // when its support ends, or ended
}

// recent are the holes that any role can use which runs SQL.
const recent = "CVE-2026-16239, CVE-2026-14680, CVE-2026-120141, CVE-2026-6473"

// releases are the major versions that are known.
var releases = map[int]release{
	13: {0, "", "2025-11-13"},
	14: {25, recent, "2026-11-12"},
	15: {20, recent, "2027-11-11"},
	16: {16, recent, "2028-11-09"},
	17: {12, recent, "2029-11-08"},
	18: {7, recent, "2030-11-14"},
}

// firstKnown is the oldest major version in the table; those before it are as old.
const firstKnown = 13

// release looks at the server's own version. number is server_version_num.
func (i *inspection) release(version, number string) {
	n, err := strconv.Atoi(number)
	major, minor := n/10000, n%10000
	known, ok := releases[max(major, firstKnown)]
	switch {
	case err != nil || !ok:
		i.report.Unseen = append(i.report.Unseen, Unseen{"release", "known holes of PostgreSQL " + version, "this gateway knows of releases up to " + releasesOf})
	case known.holes == "":
		i.find(Finding{
			Check: "release.ended", Severity: High, Cluster: true, What: fmt.Sprintf("PostgreSQL %s has not been maintained since %s", version, known.ended),
			Why: "Nobody mends its holes any more.", Fix: []string{"upgrade to a major version that is maintained (as of " + releasesOf + ")"}, Kind: Command,
		})
	case minor < known.minor:
		i.find(Finding{
			Check: "release.holes", Severity: High, Cluster: true, What: fmt.Sprintf("PostgreSQL %s has known holes, %s among them", version, known.holes),
			Why:  "Any role that runs SQL may get to run what it likes as the server's account, whatever it was granted. No policy sees that.",
			Fix:  []string{fmt.Sprintf("install PostgreSQL %d.%d or newer (as of %s) and restart it", major, known.minor, releasesOf)},
			Kind: Command,
		})
	}
}
