import { defineConfig, globalIgnores } from "eslint/config";
import core from "eslint-config-next/core-web-vitals";
import typescript from "eslint-config-next/typescript";

/** The floors of the interface: each imports only from those below it. */
const FLOORS = ["app", "features", "components", "components/ui", "lib"];

const zones = FLOORS.flatMap((floor, at) =>
  FLOORS.slice(0, at).map((above) => ({
    target: `./src/${floor}`,
    from: `./src/${above}`,
    except: floor.startsWith(`${above}/`) ? [`./${floor.slice(above.length + 1)}`] : [],
    message: `${floor} lies below ${above}`,
  })),
);

export default defineConfig([
  globalIgnores([".next/", "out/", "next-env.d.ts", "src/generated/"]),
  ...core,
  ...typescript,
  {
    rules: {
      "max-lines": ["error", 200],
      "import/no-restricted-paths": ["error", { zones }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "no-restricted-globals": ["error", "fetch", "EventSource"],
      eqeqeq: "error",
    },
  },
  { files: ["src/lib/**"], rules: { "no-restricted-globals": "off" } },
]);
