package inspect

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// releasesOf is when the tables below were made, of https://www.postgresql.org/support/security/ and
// https://www.postgresql.org/support/versioning/.
const releasesOf = "2026-11"

// ended is the day of a major version's last release, after which nobody mends it. That of 14 is in the announcement of 18.4, of
// 2026-05-14; those of 15 and later are the days that PostgreSQL plans, which https://endoflife.ai/article-postgresql-eol repeats, and those
// before have come. Those before 10 have two numbers each; 9.6 was the last of them.
var ended = map[int]string{
	9: "2021-11-11", 10: "2022-11-10", 11: "2023-11-09", 12: "2024-11-21", 13: "2025-11-13",
	14: "2026-11-12", 15: "2027-11-11", 16: "2028-11-09", 17: "2029-11-08", 18: "2030-11-14",
}

// firstKnown is the oldest major version in the table; those before it ended before it.
const firstKnown = 9

// hole is one that any role can use which runs SQL.
type hole struct {
	name   string
	mended map[int]int // the first minor release without it, by the major version
}

// holes are those of the last releases, the newest first. Who says of each that any role can use it to run code as the server's account,
// and in which releases it is mended: of CVE-2026-120141 https://www.suse.com/security/cve/CVE-2026-120141.html, in PostgreSQL's words; of
// the others PostgreSQL's own records, https://github.com/CVEProject/cvelistV5. (CVE-2026-6460 is mended with the first of them, and needs
// somebody who may make objects.)
var holes = []hole{
	{"CVE-2026-120141", map[int]int{14: 25, 15: 20, 16: 16, 17: 12, 18: 7}},
	{"CVE-2026-16239", map[int]int{14: 24, 15: 19, 16: 15, 17: 11, 18: 6}},
	{"CVE-2026-14680", map[int]int{14: 24, 15: 19, 16: 15, 17: 11, 18: 6}},
	{"CVE-2026-6473", map[int]int{14: 23, 15: 18, 16: 14, 17: 10, 18: 4}},
}

// release looks at the server's own version. number is server_version_num.
func (i *inspection) release(version, number string) {
	n, err := strconv.Atoi(number)
	major, minor := n/10000, n%10000
	last, ok := ended[max(major, firstKnown)]
	if err != nil || !ok {
		i.report.Unseen = append(i.report.Unseen, Unseen{"release", "known holes of PostgreSQL " + version, "this gateway knows of releases up to " + releasesOf})
		return
	}
	if i.about.Day.Format(time.DateOnly) > last {
		i.find(Finding{
			Check: "release.ended", Severity: High, Cluster: true, What: fmt.Sprintf("PostgreSQL %s has not been maintained since %s", version, last),
			Why: "Nobody mends its holes any more.", Fix: []string{"upgrade to a major version that is maintained (as of " + releasesOf + ")"}, Kind: Command,
		})
	}
	if has, least := holesOf(major, minor); len(has) > 0 {
		i.find(Finding{
			Check: "release.holes", Severity: High, Cluster: true,
			What: fmt.Sprintf("PostgreSQL %s has known holes, %s among them", version, strings.Join(has, ", ")),
			Why:  "Any role that runs SQL may get to run what it likes as the server's account, whatever it was granted. No policy sees that.",
			Fix:  []string{fmt.Sprintf("install PostgreSQL %d.%d or newer (as of %s) and restart it", major, least, releasesOf)},
			Kind: Command,
		})
	}
}

// holesOf are those of a release, and the first minor release that has none of them.
func holesOf(major, minor int) (has []string, least int) {
	for _, h := range holes {
		if mended := h.mended[major]; minor < mended {
			has, least = append(has, h.name), max(least, mended)
		}
	}
	return has, least
}
