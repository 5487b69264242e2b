// Every expected text is what NumPy 1.24.4 prints for the same array.
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "tensor/tensor.h"

namespace wengert {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(PrintTest, Scalars) {
  EXPECT_EQ(Tensor::FromVector<float>({1.5f}, {}).ToString(), "1.5");
  EXPECT_EQ(Tensor::FromVector<float>({3.0f}, {}).ToString(), "3.0");
  EXPECT_EQ(Tensor::FromVector<float>({-0.1f}, {}).ToString(), "-0.1");
  EXPECT_EQ(Tensor::FromVector<float>({1e-05f}, {}).ToString(), "1e-05");
  EXPECT_EQ(Tensor::FromVector<float>({16777216.0f}, {}).ToString(), "16777216.0");
  EXPECT_EQ(Tensor::FromVector<float>({1e+16f}, {}).ToString(), "1e+16");
  EXPECT_EQ(Tensor::FromVector<double>({1.25e-07}, {}).ToString(), "1.25e-07");
  EXPECT_EQ(Tensor::FromVector<double>({0.3333333333333333}, {}).ToString(), "0.3333333333333333");
  EXPECT_EQ(Tensor::FromVector<float>({0.33333334f}, {}).ToString(), "0.33333334");
  EXPECT_EQ(Tensor::FromVector<double>({0.0001}, {}).ToString(), "0.0001");
  EXPECT_EQ(Tensor::FromVector<float>({kNaN}, {}).ToString(), "nan");
  EXPECT_EQ(Tensor::FromVector<double>({-kInfinity}, {}).ToString(), "-inf");
  EXPECT_EQ(Tensor::FromVector<int64_t>({7}, {}).ToString(), "7");
  EXPECT_EQ(Tensor::FromVector<uint8_t>({255}, {}).ToString(), "255");
  EXPECT_EQ(Tensor::FromVector<bool>({true}, {}).ToString(), "True");
  EXPECT_EQ(Tensor::FromVector<bool>({false}, {}).ToString(), "False");
  EXPECT_EQ(Tensor::FromVector<double>({-0.0}, {}).ToString(), "-0.0");
}

TEST(PrintTest, FloatsAlign) {
  EXPECT_EQ(Tensor::FromVector<float>({1.0f, 2.5f, -3.25f, 100.0f}, {4}).ToString(),
            "[  1.     2.5   -3.25 100.  ]");
  EXPECT_EQ(Tensor::FromVector<float>({1.0f, 2.0f, 3.0f, 4.0f}, {2, 2}).ToString(),
            "[[1. 2.]\n"
            " [3. 4.]]");
  EXPECT_EQ(Tensor::FromVector<float>({0.1f, 0.25f, 0.33333334f}, {3}).ToString(),
            "[0.1        0.25       0.33333334]");
  EXPECT_EQ(
      Tensor::FromVector<double>({0.1, 0.3333333333333333, 0.6666666666666666}, {3}).ToString(),
      "[0.1        0.33333333 0.66666667]");
  EXPECT_EQ(Tensor::FromVector<double>({1.23456789012, 1.0, 0.0}, {3}).ToString(),
            "[1.23456789 1.         0.        ]");
  EXPECT_EQ(Tensor::FromVector<double>({-0.0, 0.0, 1.0}, {3}).ToString(), "[-0.  0.  1.]");
  EXPECT_EQ(Tensor::FromVector<float>({0.0f, 0.0f}, {2}).ToString(), "[0. 0.]");
  EXPECT_EQ(Tensor::FromVector<double>({0.99999999999, 2.0}, {2}).ToString(), "[1. 2.]");
  EXPECT_EQ(Tensor::FromVector<double>({99999999.0, 100000.0}, {2}).ToString(),
            "[99999999.   100000.]");
}

TEST(PrintTest, FloatsOfManyMagnitudes) {
  EXPECT_EQ(Tensor::FromVector<float>({1e-05f, 1.0f}, {2}).ToString(), "[1.e-05 1.e+00]");
  EXPECT_EQ(Tensor::FromVector<float>({100000000.0f, 1.0f}, {2}).ToString(), "[1.e+08 1.e+00]");
  EXPECT_EQ(Tensor::FromVector<float>({10000000000.0f, 1.5f}, {2}).ToString(), "[1.0e+10 1.5e+00]");
  EXPECT_EQ(Tensor::FromVector<float>({0.001f, 1.5f}, {2}).ToString(), "[1.0e-03 1.5e+00]");
  EXPECT_EQ(Tensor::FromVector<float>({1e-04f, 0.1f}, {2}).ToString(), "[1.e-04 1.e-01]");
  EXPECT_EQ(Tensor::FromVector<double>({0.0001, 0.001}, {2}).ToString(), "[0.0001 0.001 ]");
  EXPECT_EQ(Tensor::FromVector<double>({1e-10, -2.5e+100, 0.0}, {3}).ToString(),
            "[ 1.0e-010 -2.5e+100  0.0e+000]");
  EXPECT_EQ(Tensor::FromVector<double>({1e+300, 1e-300, kNaN}, {3}).ToString(),
            "[1.e+300 1.e-300     nan]");
  EXPECT_EQ(Tensor::FromVector<float>({82421350.0f, 200000000.0f}, {2}).ToString(),
            "[8.242135e+07 2.000000e+08]");
  EXPECT_EQ(Tensor::FromVector<double>({10000000000.0, 100000000000.0}, {2}).ToString(),
            "[1.e+10 1.e+11]");
  EXPECT_EQ(Tensor::FromVector<double>({3.3333333333333335e-07, 1.0}, {2}).ToString(),
            "[3.33333333e-07 1.00000000e+00]");
}

TEST(PrintTest, NanAndInfinity) {
  EXPECT_EQ(Tensor::FromVector<float>({1.0f, kNaN}, {2}).ToString(), "[ 1. nan]");
  EXPECT_EQ(Tensor::FromVector<float>({kInfinity, -kInfinity, 1.5f}, {3}).ToString(),
            "[ inf -inf  1.5]");
  EXPECT_EQ(Tensor::FromVector<float>({kNaN, kNaN}, {2}).ToString(), "[nan nan]");
  EXPECT_EQ(Tensor::FromVector<double>({-kInfinity, kNaN}, {2}).ToString(), "[-inf  nan]");
  EXPECT_EQ(Tensor::FromVector<double>({1000.5, kInfinity, kNaN}, {3}).ToString(),
            "[1000.5    inf    nan]");
  EXPECT_EQ(Tensor::FromVector<float>({10000000000.0f, -kInfinity}, {2}).ToString(),
            "[1.e+10   -inf]");
  EXPECT_EQ(Tensor::FromVector<float>({kInfinity, 1.0f}, {2}).ToString(), "[inf  1.]");
}

TEST(PrintTest, IntegersAndBools) {
  EXPECT_EQ(Tensor::FromVector<int32_t>({1, -20, 300}, {3}).ToString(), "[  1 -20 300]");
  EXPECT_EQ(Tensor::FromVector<int64_t>({1, 2, 30, 4}, {2, 2}).ToString(),
            "[[ 1  2]\n"
            " [30  4]]");
  EXPECT_EQ(Tensor::FromVector<int64_t>({INT64_MIN, 0}, {2}).ToString(),
            "[-9223372036854775808                    0]");
  EXPECT_EQ(Tensor::FromVector<uint8_t>({0, 255}, {2}).ToString(), "[  0 255]");
  EXPECT_EQ(Tensor::FromVector<bool>({true, false}, {2}).ToString(), "[ True False]");
  EXPECT_EQ(Tensor::FromVector<bool>({true, true}, {2, 1}).ToString(),
            "[[ True]\n"
            " [ True]]");
}

TEST(PrintTest, NestsAndShapes) {
  EXPECT_EQ(Tensor::FromVector<int32_t>({0, 1, 2, 3, 4, 5, 6, 7}, {2, 2, 2}).ToString(),
            "[[[0 1]\n"
            "  [2 3]]\n"
            "\n"
            " [[4 5]\n"
            "  [6 7]]]");
  EXPECT_EQ(Tensor::FromVector<float>({0.0f, 1.0f, 2.0f, 3.0f}, {1, 2, 1, 2}).ToString(),
            "[[[[0. 1.]]\n"
            "\n"
            "  [[2. 3.]]]]");
  EXPECT_EQ(Tensor::FromVector<float>({0.0f, 1.0f, 2.0f, 3.0f}, {2, 1, 1, 2}).ToString(),
            "[[[[0. 1.]]]\n"
            "\n"
            "\n"
            " [[[2. 3.]]]]");
  EXPECT_EQ(Tensor::FromVector<float>({0.0f, 1.0f, 2.0f}, {3, 1}).ToString(),
            "[[0.]\n"
            " [1.]\n"
            " [2.]]");
  EXPECT_EQ(Tensor::FromVector<float>({1.0f}, {1, 1, 1, 1, 1, 1, 1, 1}).ToString(),
            "[[[[[[[[1.]]]]]]]]");
}

TEST(PrintTest, LongRowsWrapAt75Columns) {
  EXPECT_EQ(Tensor::Arange(0, 30).ToString(),
            "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
            " 24 25 26 27 28 29]");
  EXPECT_EQ(Tensor::Arange(0, 15, 0.5, DType::kFloat32).ToString(),
            "[ 0.   0.5  1.   1.5  2.   2.5  3.   3.5  4.   4.5  5.   5.5  6.   6.5\n"
            "  7.   7.5  8.   8.5  9.   9.5 10.  10.5 11.  11.5 12.  12.5 13.  13.5\n"
            " 14.  14.5]");
  EXPECT_EQ(Tensor::Arange(0, 60).Reshape({2, 30}).ToString(),
            "[[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
            "  24 25 26 27 28 29]\n"
            " [30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53\n"
            "  54 55 56 57 58 59]]");
  EXPECT_EQ(Tensor::Arange(0, 44).Reshape({2, 22}).To(DType::kBool).ToString(),
            "[[False  True  True  True  True  True  True  True  True  True  True  True\n"
            "   True  True  True  True  True  True  True  True  True  True]\n"
            " [ True  True  True  True  True  True  True  True  True  True  True  True\n"
            "   True  True  True  True  True  True  True  True  True  True]]");
}

// A 1,000 elements are shown, 1,001 are not.
TEST(PrintTest, Summarises) {
  EXPECT_EQ(Tensor::Arange(0, 1000).ToString().find("..."), std::string::npos);
  EXPECT_EQ(Tensor::Arange(0, 1000).Reshape({500, 2}).Narrow(0, 0, 4).ToString(),
            "[[0 1]\n"
            " [2 3]\n"
            " [4 5]\n"
            " [6 7]]");
  EXPECT_EQ(Tensor::Arange(0, 1001).ToString(), "[   0    1    2 ...  998  999 1000]");
  EXPECT_EQ(Tensor::Arange(0, 3000, 1, DType::kFloat32).Reshape({60, 50}).ToString(),
            "[[0.000e+00 1.000e+00 2.000e+00 ... 4.700e+01 4.800e+01 4.900e+01]\n"
            " [5.000e+01 5.100e+01 5.200e+01 ... 9.700e+01 9.800e+01 9.900e+01]\n"
            " [1.000e+02 1.010e+02 1.020e+02 ... 1.470e+02 1.480e+02 1.490e+02]\n"
            " ...\n"
            " [2.850e+03 2.851e+03 2.852e+03 ... 2.897e+03 2.898e+03 2.899e+03]\n"
            " [2.900e+03 2.901e+03 2.902e+03 ... 2.947e+03 2.948e+03 2.949e+03]\n"
            " [2.950e+03 2.951e+03 2.952e+03 ... 2.997e+03 2.998e+03 2.999e+03]]");
  EXPECT_EQ(Tensor::Arange(0, 1200).Reshape({2, 6, 100}).ToString(),
            "[[[   0    1    2 ...   97   98   99]\n"
            "  [ 100  101  102 ...  197  198  199]\n"
            "  [ 200  201  202 ...  297  298  299]\n"
            "  [ 300  301  302 ...  397  398  399]\n"
            "  [ 400  401  402 ...  497  498  499]\n"
            "  [ 500  501  502 ...  597  598  599]]\n"
            "\n"
            " [[ 600  601  602 ...  697  698  699]\n"
            "  [ 700  701  702 ...  797  798  799]\n"
            "  [ 800  801  802 ...  897  898  899]\n"
            "  [ 900  901  902 ...  997  998  999]\n"
            "  [1000 1001 1002 ... 1097 1098 1099]\n"
            "  [1100 1101 1102 ... 1197 1198 1199]]]");
  EXPECT_EQ(Tensor::Arange(0, 1400).Reshape({200, 7}).ToString(),
            "[[   0    1    2 ...    4    5    6]\n"
            " [   7    8    9 ...   11   12   13]\n"
            " [  14   15   16 ...   18   19   20]\n"
            " ...\n"
            " [1379 1380 1381 ... 1383 1384 1385]\n"
            " [1386 1387 1388 ... 1390 1391 1392]\n"
            " [1393 1394 1395 ... 1397 1398 1399]]");
  EXPECT_EQ(Tensor::Arange(0, 2401).Reshape({7, 7, 7, 7}).Narrow(2, 0, 2).ToString(),
            "[[[[   0    1    2    3    4    5    6]\n"
            "   [   7    8    9   10   11   12   13]]\n"
            "\n"
            "  [[  49   50   51   52   53   54   55]\n"
            "   [  56   57   58   59   60   61   62]]\n"
            "\n"
            "  [[  98   99  100  101  102  103  104]\n"
            "   [ 105  106  107  108  109  110  111]]\n"
            "\n"
            "  [[ 147  148  149  150  151  152  153]\n"
            "   [ 154  155  156  157  158  159  160]]\n"
            "\n"
            "  [[ 196  197  198  199  200  201  202]\n"
            "   [ 203  204  205  206  207  208  209]]\n"
            "\n"
            "  [[ 245  246  247  248  249  250  251]\n"
            "   [ 252  253  254  255  256  257  258]]\n"
            "\n"
            "  [[ 294  295  296  297  298  299  300]\n"
            "   [ 301  302  303  304  305  306  307]]]\n"
            "\n"
            "\n"
            " [[[ 343  344  345  346  347  348  349]\n"
            "   [ 350  351  352  353  354  355  356]]\n"
            "\n"
            "  [[ 392  393  394  395  396  397  398]\n"
            "   [ 399  400  401  402  403  404  405]]\n"
            "\n"
            "  [[ 441  442  443  444  445  446  447]\n"
            "   [ 448  449  450  451  452  453  454]]\n"
            "\n"
            "  [[ 490  491  492  493  494  495  496]\n"
            "   [ 497  498  499  500  501  502  503]]\n"
            "\n"
            "  [[ 539  540  541  542  543  544  545]\n"
            "   [ 546  547  548  549  550  551  552]]\n"
            "\n"
            "  [[ 588  589  590  591  592  593  594]\n"
            "   [ 595  596  597  598  599  600  601]]\n"
            "\n"
            "  [[ 637  638  639  640  641  642  643]\n"
            "   [ 644  645  646  647  648  649  650]]]\n"
            "\n"
            "\n"
            " [[[ 686  687  688  689  690  691  692]\n"
            "   [ 693  694  695  696  697  698  699]]\n"
            "\n"
            "  [[ 735  736  737  738  739  740  741]\n"
            "   [ 742  743  744  745  746  747  748]]\n"
            "\n"
            "  [[ 784  785  786  787  788  789  790]\n"
            "   [ 791  792  793  794  795  796  797]]\n"
            "\n"
            "  [[ 833  834  835  836  837  838  839]\n"
            "   [ 840  841  842  843  844  845  846]]\n"
            "\n"
            "  [[ 882  883  884  885  886  887  888]\n"
            "   [ 889  890  891  892  893  894  895]]\n"
            "\n"
            "  [[ 931  932  933  934  935  936  937]\n"
            "   [ 938  939  940  941  942  943  944]]\n"
            "\n"
            "  [[ 980  981  982  983  984  985  986]\n"
            "   [ 987  988  989  990  991  992  993]]]\n"
            "\n"
            "\n"
            " [[[1029 1030 1031 1032 1033 1034 1035]\n"
            "   [1036 1037 1038 1039 1040 1041 1042]]\n"
            "\n"
            "  [[1078 1079 1080 1081 1082 1083 1084]\n"
            "   [1085 1086 1087 1088 1089 1090 1091]]\n"
            "\n"
            "  [[1127 1128 1129 1130 1131 1132 1133]\n"
            "   [1134 1135 1136 1137 1138 1139 1140]]\n"
            "\n"
            "  [[1176 1177 1178 1179 1180 1181 1182]\n"
            "   [1183 1184 1185 1186 1187 1188 1189]]\n"
            "\n"
            "  [[1225 1226 1227 1228 1229 1230 1231]\n"
            "   [1232 1233 1234 1235 1236 1237 1238]]\n"
            "\n"
            "  [[1274 1275 1276 1277 1278 1279 1280]\n"
            "   [1281 1282 1283 1284 1285 1286 1287]]\n"
            "\n"
            "  [[1323 1324 1325 1326 1327 1328 1329]\n"
            "   [1330 1331 1332 1333 1334 1335 1336]]]\n"
            "\n"
            "\n"
            " [[[1372 1373 1374 1375 1376 1377 1378]\n"
            "   [1379 1380 1381 1382 1383 1384 1385]]\n"
            "\n"
            "  [[1421 1422 1423 1424 1425 1426 1427]\n"
            "   [1428 1429 1430 1431 1432 1433 1434]]\n"
            "\n"
            "  [[1470 1471 1472 1473 1474 1475 1476]\n"
            "   [1477 1478 1479 1480 1481 1482 1483]]\n"
            "\n"
            "  [[1519 1520 1521 1522 1523 1524 1525]\n"
            "   [1526 1527 1528 1529 1530 1531 1532]]\n"
            "\n"
            "  [[1568 1569 1570 1571 1572 1573 1574]\n"
            "   [1575 1576 1577 1578 1579 1580 1581]]\n"
            "\n"
            "  [[1617 1618 1619 1620 1621 1622 1623]\n"
            "   [1624 1625 1626 1627 1628 1629 1630]]\n"
            "\n"
            "  [[1666 1667 1668 1669 1670 1671 1672]\n"
            "   [1673 1674 1675 1676 1677 1678 1679]]]\n"
            "\n"
            "\n"
            " [[[1715 1716 1717 1718 1719 1720 1721]\n"
            "   [1722 1723 1724 1725 1726 1727 1728]]\n"
            "\n"
            "  [[1764 1765 1766 1767 1768 1769 1770]\n"
            "   [1771 1772 1773 1774 1775 1776 1777]]\n"
            "\n"
            "  [[1813 1814 1815 1816 1817 1818 1819]\n"
            "   [1820 1821 1822 1823 1824 1825 1826]]\n"
            "\n"
            "  [[1862 1863 1864 1865 1866 1867 1868]\n"
            "   [1869 1870 1871 1872 1873 1874 1875]]\n"
            "\n"
            "  [[1911 1912 1913 1914 1915 1916 1917]\n"
            "   [1918 1919 1920 1921 1922 1923 1924]]\n"
            "\n"
            "  [[1960 1961 1962 1963 1964 1965 1966]\n"
            "   [1967 1968 1969 1970 1971 1972 1973]]\n"
            "\n"
            "  [[2009 2010 2011 2012 2013 2014 2015]\n"
            "   [2016 2017 2018 2019 2020 2021 2022]]]\n"
            "\n"
            "\n"
            " [[[2058 2059 2060 2061 2062 2063 2064]\n"
            "   [2065 2066 2067 2068 2069 2070 2071]]\n"
            "\n"
            "  [[2107 2108 2109 2110 2111 2112 2113]\n"
            "   [2114 2115 2116 2117 2118 2119 2120]]\n"
            "\n"
            "  [[2156 2157 2158 2159 2160 2161 2162]\n"
            "   [2163 2164 2165 2166 2167 2168 2169]]\n"
            "\n"
            "  [[2205 2206 2207 2208 2209 2210 2211]\n"
            "   [2212 2213 2214 2215 2216 2217 2218]]\n"
            "\n"
            "  [[2254 2255 2256 2257 2258 2259 2260]\n"
            "   [2261 2262 2263 2264 2265 2266 2267]]\n"
            "\n"
            "  [[2303 2304 2305 2306 2307 2308 2309]\n"
            "   [2310 2311 2312 2313 2314 2315 2316]]\n"
            "\n"
            "  [[2352 2353 2354 2355 2356 2357 2358]\n"
            "   [2359 2360 2361 2362 2363 2364 2365]]]]");
  EXPECT_EQ(Tensor::Full({1001}, 0.5).To(DType::kFloat64).ToString(),
            "[0.5 0.5 0.5 ... 0.5 0.5 0.5]");
}

TEST(PrintTest, AnyStrides) {
  const Tensor t = Tensor::Arange(0, 12, 1, DType::kFloat32).Reshape({3, 4});
  EXPECT_EQ(t.T().ToString(),
            "[[ 0.  4.  8.]\n"
            " [ 1.  5.  9.]\n"
            " [ 2.  6. 10.]\n"
            " [ 3.  7. 11.]]");
  EXPECT_EQ(t.Flip(0).Narrow(1, 3, 2, -2).ToString(),
            "[[11.  9.]\n"
            " [ 7.  5.]\n"
            " [ 3.  1.]]");
  EXPECT_EQ(t.Narrow(0, 1, 1).Expand({2, 4}).ToString(),
            "[[4. 5. 6. 7.]\n"
            " [4. 5. 6. 7.]]");
}

TEST(PrintTest, ZeroSize) {
  EXPECT_EQ(Tensor::Zeros({0}).ToString(), "[]");
  EXPECT_EQ(Tensor::Zeros({0, 3}).ToString(), "[]");
  EXPECT_EQ(Tensor::Zeros({3, 0}).ToString(), "[]");
}

TEST(PrintTest, Streams) {
  std::ostringstream stream;
  stream << Tensor::Ones({2}) << " " << Tensor();
  EXPECT_EQ(stream.str(), "[1. 1.] undefined");
}

}  // namespace
}  // namespace wengert
