// SPDX-License-Identifier: Apache-2.0

// The continent and the middle of each country of ISO 3166-1 (and XK), for data sets that know only the country. The middles are
// this project's own estimates, rounded to a tenth or half of a degree and drawn towards where people live in large, empty
// countries (Canada, Russia, Australia). Good for "which region is nearer", not for maps. The continents follow the
// usual seven; countries on two of them have the one that Route 53 and GeoLite2 give (CY, TR and the Caucasus: AS; RU: EU; EG: AF).

/** Where a country is. */
export interface Country {
  /** `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`. */
  readonly continent: string;
  /** Degrees of its estimated middle. */
  readonly latitude: number;
  readonly longitude: number;
}

/** Code, latitude, longitude; by continent. */
const table: Readonly<Record<string, string>> = {
  AF: `
    AO -12 17.5, BF 12.3 -1.6, BI -3.4 29.9, BJ 9.3 2.3, BW -22.3 24.7, CD -4 21.8, CF 6.6 20.9, CG -0.2 15.8, CI 7.5 -5.5,
    CM 5.7 12.4, CV 15.1 -23.6, DJ 11.8 42.6, DZ 35 3, EG 29.5 31, EH 24.2 -12.9, ER 15.2 39.8, ET 9.1 40.5, GA -0.8 11.6,
    GH 7.9 -1, GM 13.4 -15.3, GN 9.9 -9.7, GQ 1.7 10.3, GW 12 -15.2, KE -0.5 37.5, KM -11.9 43.9, LR 6.4 -9.4, LS -29.6 28.2,
    LY 31.5 15, MA 32.5 -6.5, MG -18.8 46.9, ML 14 -6, MR 18.5 -13, MU -20.3 57.6, MW -13.3 34.3, MZ -18.7 35.5, NA -22 17.1,
    NE 14.5 6, NG 9.1 8.7, RE -21.1 55.5, RW -1.9 29.9, SC -4.7 55.5, SD 15 31.5, SH -15.9 -5.7, SL 8.5 -11.8, SN 14.5 -15.5,
    SO 4 45.5, SS 7 30, ST 0.2 6.6, SZ -26.5 31.5, TD 13 17, TG 8.6 0.8, TN 35.5 9.7, TZ -6.4 34.9, UG 1.4 32.3, YT -12.8 45.2,
    ZA -28.5 26, ZM -13.1 27.8, ZW -19 29.2`,
  AN: `AQ -77 40, BV -54.4 3.4, GS -54.3 -36.7, HM -53.1 73.5, TF -49.3 69.3`,
  AS: `
    AE 24.5 54.5, AF 34 66, AM 40.2 44.7, AZ 40.2 47.7, BD 23.8 90.3, BH 26.1 50.6, BN 4.5 114.6, BT 27.4 90.4, CC -12.2 96.9,
    CN 32.5 112, CX -10.5 105.7, CY 35 33.2, GE 42 43.6, HK 22.3 114.2, ID -6 110, IL 31.8 35, IN 21.5 78.5, IO -7.3 72.4,
    IQ 33.2 43.9, IR 33.5 52, JO 31.5 36.3, JP 36 138.5, KG 41.6 74.3, KH 12.3 104.9, KP 39.5 126.5, KR 36.6 127.6, KW 29.4 47.8,
    KZ 48 68, LA 18.3 103.3, LB 33.9 35.8, LK 7.3 80.7, MM 20 96, MN 47.5 105, MO 22.2 113.5, MV 3.5 73.4, MY 4 104, NP 28 84,
    OM 22.5 57.5, PH 13 122.5, PK 30.5 70.5, PS 31.9 35.2, QA 25.3 51.3, SA 24.5 44.5, SG 1.4 103.8, SY 35 38, TH 14.5 101,
    TJ 38.6 69.5, TL -8.8 125.8, TM 38.5 59, TR 39.3 33.5, TW 24 121, UZ 40.5 66, VN 15.5 107, YE 15 45`,
  EU: `
    AD 42.5 1.5, AL 41.1 20, AT 47.7 14, AX 60.2 20, BA 44.2 17.8, BE 50.7 4.6, BG 42.7 25.3, BY 53.5 28, CH 46.8 8.2,
    CZ 49.8 15.4, DE 50.8 10, DK 55.9 10.5, EE 58.8 25.5, ES 40.2 -3.6, FI 61.5 25, FO 62 -6.9, FR 47 2.5, GB 52.8 -1.7,
    GG 49.5 -2.6, GI 36.1 -5.4, GR 38.7 23, HR 45.3 16, HU 47.2 19.4, IE 53.2 -7.3, IM 54.2 -4.5, IS 64.3 -21, IT 42.8 12.3,
    JE 49.2 -2.1, LI 47.2 9.6, LT 55.2 23.9, LU 49.7 6.1, LV 56.9 24.7, MC 43.7 7.4, MD 47.2 28.5, ME 42.7 19.3, MK 41.6 21.7,
    MT 35.9 14.4, NL 52.2 5.3, NO 60.5 9.5, PL 52 19.3, PT 39.6 -8.3, RO 45.8 25, RS 44.2 20.8, RU 55.5 43, SE 59.5 16,
    SI 46.1 14.8, SJ 78.5 16, SK 48.7 19.5, SM 43.9 12.5, UA 49 31.5, VA 41.9 12.5, XK 42.6 20.9`,
  NA: `
    AG 17.1 -61.8, AI 18.2 -63.1, AW 12.5 -70, BB 13.2 -59.5, BL 17.9 -62.8, BM 32.3 -64.8, BQ 12.2 -68.3, BS 24.7 -77.5,
    BZ 17.3 -88.6, CA 46.5 -85, CR 9.9 -84.1, CU 22 -79.5, CW 12.2 -69, DM 15.4 -61.4, DO 18.8 -70.3, GD 12.1 -61.7, GL 65 -52,
    GP 16.2 -61.5, GT 15 -90.5, HN 14.7 -86.8, HT 18.8 -72.6, JM 18.1 -77.3, KN 17.3 -62.7, KY 19.3 -81.2, LC 13.9 -61,
    MF 18.1 -63.1, MQ 14.6 -61, MS 16.7 -62.2, MX 21 -101, NI 12.6 -85.8, PA 8.8 -79.8, PM 46.9 -56.3, PR 18.2 -66.4,
    SV 13.7 -88.9, SX 18 -63.1, TC 21.8 -71.8, TT 10.5 -61.3, US 38.5 -95, VC 13.2 -61.2, VG 18.4 -64.6, VI 18.1 -64.8`,
  OC: `
    AS -14.3 -170.7, AU -32 146, CK -21.2 -159.8, FJ -17.9 178, FM 6.9 158.2, GU 13.4 144.8, KI 1.4 173, MH 7.1 171.2,
    MP 15.2 145.7, NC -21.5 165.5, NF -29 168, NR -0.5 166.9, NU -19.1 -169.9, NZ -40 175, PF -17.6 -149.5, PG -7 145.5,
    PN -24.4 -128.3, PW 7.4 134.5, SB -9.2 159.5, TK -9.2 -171.8, TO -21.2 -175.2, TV -8.2 178.5, UM 19.3 166.6, VU -16.5 167.5,
    WF -13.5 -177, WS -13.8 -171.9`,
  SA: `
    AR -34.5 -63, BO -17 -65, BR -18 -46.5, CL -33.5 -71, CO 5 -74, EC -1.4 -78.8, FK -51.7 -59, GF 4.5 -52.7, GY 6 -58.5,
    PE -10 -76, PY -24.5 -57, SR 5 -55.5, UY -33.5 -56, VE 9.5 -67`,
};

/** The countries by ISO 3166-1 alpha-2 code. */
export const countries: ReadonlyMap<string, Country> = new Map(
  Object.entries(table).flatMap(([continent, lines]) =>
    lines.split(",").map((line): [string, Country] => {
      const [code = "", latitude, longitude] = line.trim().split(" ");
      return [code, { continent, latitude: Number(latitude), longitude: Number(longitude) }];
    }),
  ),
);
