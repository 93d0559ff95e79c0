// A Hardhat plugin that compiles the test contracts. They only call contracts that were compiled as
// they are shipped (also harnesses and simulator), and deploy those by name. So their own code may
// be slow and is not optimized, which takes seconds instead of minutes. They are compiled apart
// from the sources (`splitTestsCompilation`). Otherwise tests in JavaScript would read the syntax
// trees of test contracts, too, and solc only gives those when it compiles the contracts.
import { compilerSettings, soliditySources } from "./compiler.js";

const isTest = (name) => name.endsWith(".t.sol");

/** One compiler for all tests, since Hardhat compiles files together that share a compiler. */
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

/** Generates code for the tests of a job only; Hardhat would do so for all their imports, too. */
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
