// A Hardhat plugin: how contracts that test are compiled. They only drive contracts that were
// compiled as they are shipped, harnesses and simulator included, and deploy those by name. So
// their own code may be slow, and nothing optimizes it: that takes seconds instead of minutes. Each
// is a root of its own kind (`splitTestsCompilation`), since the network of tests in JavaScript
// reads the syntax trees of all that was compiled, and solc gives none of a file without also
// compiling its contracts.
import { compilerSettings, soliditySources } from "./compiler.js";

const isTest = (name) => name.endsWith(".t.sol");

/** One compiler for all tests: Hardhat compiles together the files that share one. */
async function resolveUserConfig(userConfig, resolveVariable, next) {
  const config = await next(userConfig, resolveVariable);
  for (const profile of Object.values(config.solidity.profiles)) {
    const [shipped] = profile.compilers;
    const { outputSelection } = shipped.settings;
    const settings = {
      evmVersion: compilerSettings.evmVersion,
      optimizer: { enabled: false },
      outputSelection,
    };
    const driver = { ...shipped, settings };
    for (const name of soliditySources("contracts").filter(isTest))
      profile.overrides[name] = driver;
  }
  return config;
}

/** Only the tests of a job become code: Hardhat would compile all that they import, too. */
function preprocessSolcInputBeforeBuilding(context, input, next) {
  const tests = Object.keys(input.sources).filter(isTest);
  if (tests.length === 0) return next(context, input);
  const all = input.settings.outputSelection["*"];
  const outputSelection = Object.fromEntries(tests.map((name) => [name, all]));
  return next(context, { ...input, settings: { ...input.settings, outputSelection } });
}

const factory = (handlers) => async () => ({ default: async () => handlers });

export default {
  id: "test-compiler",
  hookHandlers: {
    config: factory({ resolveUserConfig }),
    solidity: factory({ preprocessSolcInputBeforeBuilding }),
  },
};
