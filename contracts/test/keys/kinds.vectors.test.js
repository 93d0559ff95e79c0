// The slots and depths that a key may have are those of Go and Python, which read the same vector.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { artifacts, Chain } from "../../scripts/chain.js";
import { repository } from "../../scripts/compiler.js";

const vector = JSON.parse(
  readFileSync(join(repository, "tests", "vectors", "zk", "kinds.json"), "utf8"),
);

it("takes the keys that Go and Python take, and no others", async () => {
  const chain = await Chain.start();
  const harness = await chain.deploy((await artifacts("KindsHarness"))[0]);
  const shapes = vector.slots.flatMap((slots) => vector.depths.map((depth) => [slots, depth]));
  for (const { number, name, fits } of vector.kinds) {
    const answers = await harness.call("fits", [number, vector.slots, vector.depths]);
    assert.deepEqual(
      shapes.filter((_, i) => answers[i]),
      fits,
      name,
    );
  }
});
