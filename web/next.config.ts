import type { NextConfig } from "next";

/** Pages only, exported to files: every request of theirs goes to the API on the same origin. */
const config: NextConfig = {
  output: "export",
  trailingSlash: true,
  images: { unoptimized: true },
  devIndicators: false,
};

export default config;
